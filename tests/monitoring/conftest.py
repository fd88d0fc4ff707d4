"""A trained, served and watched shop that was asked a known number of things, shared by the tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from waiting import wait
from watched_shop import WatchedShop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedShop]:
    """Two rounds of requests, each scraped, so that Prometheus has seen the second one happen."""
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
        shop.asked_since = time.time()
        for _ in range(2):
            shop.ask_a_round()
            shop.scraped()
        wait(lambda: shop.requests_in_graphite() == shop.bank_requests, pause=0.2)
        shop.watched_until = shop.scraped(1)
        yield shop
