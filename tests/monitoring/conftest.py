"""A trained, served and watched shop that was asked a known number of things, shared by the tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from waiting import wait
from watched_shop import WatchedShop

QUIET_SCRAPES = 42
"""Two in a second: for longer than the shortest time over which rates are taken."""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedShop]:
    """Two rounds of requests. The first one makes every series; rates are of the second one alone, and of all of it:
    how much of the first one was counted before its series were first seen depends on the machine."""
    with WatchedShop(tmp_path_factory.mktemp("watched")) as shop:
        told = shop.train()
        assert "failed" not in told, told
        told = shop.train_bank("--recipe", "no_lags")
        assert "failed" not in told, told
        told = shop.train_basket("--recipe", "ease")
        assert "failed" not in told, told
        shop.add_account()
        shop.export()
        shop.serve()
        shop.ask_a_round()
        shop.scraped(QUIET_SCRAPES)
        shop.asked_since = time.time()
        shop.ask_a_round()
        wait(lambda: shop.requests_in_graphite() == shop.bank_requests, pause=0.2)
        shop.watched_until = shop.scraped()
        yield shop
