"""The basket's champion: followed, refused when it cannot answer, and stepped around when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.scenarios import BASKET
from vitrina.errors import ModelFormatError
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.registry.model_format import read_model
from vitrina.serving.companions_state import Cart, CompanionsMaker, CompanionsState, companions
from vitrina.serving.copies import Copies
from vitrina.serving.served import Served
from vitrina.serving.watcher import Watcher
from vitrina.telemetry.metrics import CompanionMetrics, ServiceMetrics
from vitrina.telemetry.names import CART_REASONS

Made = Callable[..., CompanionsState]


def toy(stage: Any) -> Any:
    return sys.modules[type(stage).__module__]


@pytest.fixture
def made(stage: Any, tmp_path: Path) -> Made:
    """The state of a toy model."""

    def make(*given: Any, **more: Any) -> CompanionsState:
        folder = toy(stage).write_basket(tmp_path / "basket", *given, **more)
        return CompanionsMaker().make(folder, version="3", copy="3-run", now=17, offline=False)

    return make


class Counted:
    """What is counted of a basket."""

    def __init__(self) -> None:
        self._all = ServiceMetrics()
        self.metrics: CompanionMetrics = self._all.companions("basket")

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._all.registry.get_sample_value(f"vitrina_{name}", {"scenario": "basket", **labels})


def test_a_cart_is_answered_and_counted(made: Made) -> None:
    state, counted = made(), Counted()
    found = companions(state, Cart(("80003", "80004", "nothing"), 3, exclude=("80000",)), counted.metrics)
    assert found.codes == ("80002", "80005", "80001")
    assert found.descriptions[0] == "PRODUCT 80002"
    assert found.because == ("80003", "80004", None)
    assert (found.source, found.unknown) == ("cart", ("nothing",))
    assert found.confidence[:2] == pytest.approx((0.8, 0.8), abs=1e-3)
    assert counted("recommendations_total", source="cart") == 1
    assert (counted("unknown_products_total"), counted("cart_products_sum"), counted("requested_items_sum")) == (
        1,
        3,
        3,
    )
    assert counted("companion_confidence_sum") == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("cart", "source", "first", "reason"),
    [
        (Cart(("nothing",), 2), "popular", "80000", "unknown_products"),
        (Cart((), 2), "popular", "80000", "empty_cart"),
        (Cart((), 2, customer="17850"), "history", "80009", "empty_cart"),
        (Cart(("x",), 2, customer="17850"), "history", "80009", "unknown_products"),
        (Cart((), 2, customer="nobody", exclude=("80000",)), "popular", "80001", "empty_cart"),
        (Cart(("80002",), 2, exclude=("80003",)), "popular", "80000", "nothing_goes_with_it"),
        (
            Cart(("80002", "x", "x"), 2, customer="17850", exclude=("80003",)),
            "history",
            "80009",
            "nothing_goes_with_it",
        ),
        (Cart(("x", "y", "x"), 2), "popular", "80000", "unknown_products"),
    ],
)
def test_what_the_cart_does_not_tell_is_said_and_counted(
    made: Made, cart: Cart, source: str, first: str, reason: str
) -> None:
    counted = Counted()
    found = companions(made(), cart, counted.metrics)
    assert (found.source, found.codes[0], len(found.codes)) == (source, first, 2)
    assert {one: counted("fallbacks_total", reason=one) for one in CART_REASONS} == {
        one: int(one == reason) for one in CART_REASONS
    }
    assert counted("recommendations_total", source=source) == 1


def test_a_popular_model_needs_no_fallback(made: Made) -> None:
    counted = Counted()
    found = companions(made(kind="popular"), Cart(("80001",), 2), counted.metrics)
    assert (found.source, found.codes) == ("popular", ("80000", "80002"))
    assert counted("fallbacks_total", reason="unknown_products") == 0


def test_a_model_that_fails_is_stepped_around(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    state, counted = made(0.5), Counted()

    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(CompanionsModel, "companions", fail)
    found = companions(state, Cart(("80000.0", "80001"), 3, exclude=(" 80003 ",)), counted.metrics)
    assert (found.codes, found.source) == (("80002", "80004", "80005"), "popular")
    assert found.confidence[0] == pytest.approx(0.2, abs=1e-3)
    assert counted("fallbacks_total", reason="source_failed") == 1


def watching(
    registry: Any, served: Served[CompanionsState], counted: Counted, home: Path, *, now: int
) -> Watcher[CompanionsState]:
    return Watcher(
        scenario="basket",
        served=served,
        source=registry,
        maker=CompanionsMaker(),
        copies=Copies(home / "serving" / "basket"),
        metrics=counted.metrics,
        clock=lambda: now,
    )


def test_the_champion_is_followed_and_a_bad_one_refused(stage: Any, tmp_path: Path) -> None:
    registry, served, counted = toy(stage).MemoryRegistry(), Served[CompanionsState](), Counted()
    watcher = watching(registry, served, counted, tmp_path, now=17)
    registry.publish("1", toy(stage).write_basket(tmp_path / "1"))
    watcher.look()
    state = served.state
    assert state is not None
    assert (state.version, state.loaded_at, str(state), state.times) == (
        "1",
        17,
        "model 1",
        {"as_of": toy(stage).AS_OF},
    )
    damaged = toy(stage).write_basket(tmp_path / "3")
    content = bytearray((damaged / "arrays" / "popular.npy").read_bytes())
    content[-1] ^= 1
    (damaged / "arrays" / "popular.npy").write_bytes(content)
    bad = [toy(stage).write_basket(tmp_path / "2", 1.5), damaged, toy(stage).write_toy(tmp_path / "4")]
    for number, folder in enumerate(bad, start=2):
        registry.publish(str(number), folder)
        watcher.look()
        assert served.state is state
        assert counted("swaps_total", what="model", outcome="refused") == number - 1
    registry.publish("5", toy(stage).write_basket(tmp_path / "5", 0.25))
    watcher.look()
    assert served.state is not None
    assert (served.state.version, counted("model_info", version="5")) == ("5", 1)


@pytest.mark.parametrize("fault", ["own", "twice", "rising", "short"])
def test_an_answer_that_is_none_refuses_the_model(
    stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    folder = toy(stage).write_basket(tmp_path / "basket")
    honest = CompanionsModel.companions

    def wrong(model: CompanionsModel, cart: Any, n: int, **given: Any) -> Any:
        found = honest(model, cart, n, **given)
        if not cart or len(found.codes) < 2:
            return found
        wrongly = {
            "own": {"codes": (cart[0], *found.codes[1:])},
            "twice": {"codes": (found.codes[1], *found.codes[1:])},
            "rising": {"confidence": tuple(np.sort(found.confidence))},
            "short": {"because": ()},
        }
        return replace(found, **wrongly[fault])

    monkeypatch.setattr(CompanionsModel, "companions", wrong)
    with pytest.raises(ModelFormatError, match=r"answers a cart with what is no answer\. Train again"):
        CompanionsMaker().make(folder, version="1", copy="1", now=0, offline=False)
    monkeypatch.undo()
    assert CompanionsModel.load(read_model(folder)).companions(["80000"], 1).codes == ("80001",)


def test_a_model_without_dates_tells_no_age(stage: Any, tmp_path: Path) -> None:
    """Neither after one that tells it, nor before."""
    registry, served, counted = toy(stage).MemoryRegistry(), Served[CompanionsState](), Counted()
    watcher = watching(registry, served, counted, tmp_path, now=17_000)
    for version, dated in (("1", False), ("2", True), ("3", False)):
        registry.publish(version, toy(stage).write_basket(tmp_path / version, dated=dated))
        watcher.look()
        assert served.state is not None and served.state.version == version
        as_of = toy(stage).AS_OF if dated else None
        assert (served.state.as_of, BASKET.info(served.state).as_of) == (as_of, as_of)
        assert counted("model_as_of_timestamp_seconds") == (as_of and as_of / 1000)
        assert counted("model_loaded_timestamp_seconds") == 17
