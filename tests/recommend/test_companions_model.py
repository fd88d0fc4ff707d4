"""A companions model answers carts as planted, falls back in order, and is the same after it was written and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import ModelFormatError
from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_features import Bought
from vitrina.recommend.companions_model import CURVES, CompanionsModel, Curve, packed
from vitrina.recommend.companions_pass import Links
from vitrina.registry.model_format import read_model, write_model

CODES = ("10001", "10002", "10003", "10004A", "10005")
LINKED = {(0, 1): 0.9, (0, 2): 0.2, (1, 0): 0.5, (2, 3): 0.6, (3, 2): 0.8, (1, 2): 0.3}


def _dense() -> np.ndarray:
    dense = np.zeros((5, 5), np.float32)
    for (source, target), weight in LINKED.items():
        dense[source, target] = weight
    return dense


def _as_they_are(most: float = 1.0) -> CartConfidence:
    """A score of 0 .. most is its own share, at any cart size."""
    knots = np.tile(np.linspace(0, most, 3), (7, 1))
    return CartConfidence(scores=knots, shares=knots)


@pytest.fixture
def model() -> CompanionsModel:
    dense = _dense()
    return CompanionsModel(
        kind="item_item",
        as_of=1_320_000_000_000,
        codes=CODES,
        descriptions=("CUP", "SAUCER", "SPOON", "FORK", "LAMP"),
        popular=np.array([0.1, 0.2, 0.3, 0.05, 0.5], np.float32),
        confidence=dict.fromkeys(CURVES, _as_they_are()),
        links=Links(dense, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)),
        customers=("17850", "9"),
        bought=Bought(
            starts=np.array([0, 2, 2, 2]),
            items=np.array([0, 3], np.int32),
            rates=np.array([0.6, 0.4], np.float32),
            counts=np.array([3, 2], np.float32),
            days=np.array([5, 9], np.float32),
            baskets=np.array([5, 1, 0], np.float32),
        ),
    )


def test_the_linked_products_come_first_and_name_who_speaks_for_them(model: CompanionsModel) -> None:
    answer = model.companions(["10001", "10002"], 2)
    assert answer.codes == ("10003", "10005")
    assert answer.descriptions == ("SPOON", "LAMP")
    assert answer.because == ("10002", None)
    assert answer.confidence[0] == pytest.approx(0.5, abs=1e-5)
    assert (answer.source, answer.unknown) == ("cart", ())


def test_a_cart_never_comes_back_nor_what_is_excluded(model: CompanionsModel) -> None:
    answer = model.companions(["10001"], 10, exclude=["10002", "no such"])
    assert set(answer.codes) == {"10003", "10004A", "10005"}
    assert model.companions(list(CODES), 3).codes == ()


def test_codes_and_customers_are_read_as_workbooks_write_them(model: CompanionsModel) -> None:
    assert model.companions(["10001.0"], 3) == model.companions(["10001"], 3)
    assert model.companions([" 10004a "], 3).codes[0] == "10003"
    assert model.companions([], 1, customer="17850.0").source == "history"


def test_unknown_products_fall_back_to_purchases_and_then_to_what_is_popular(model: CompanionsModel) -> None:
    answer = model.companions(["99999", "PADS", "99999"], 3, customer="17850")
    assert answer.source == "history" and answer.unknown == ("99999", "PADS")
    assert answer.codes == ("10001", "10005", "10004A")
    assert answer.confidence == pytest.approx((0.6, 0.5, 0.4))
    for customer in (None, "stranger"):
        answer = model.companions(["99999"], 3, customer=customer)
        assert answer.source == "popular" and answer.codes == ("10005", "10003", "10002")
        assert answer.because == (None, None, None)
        assert answer == model.companions(["99999"], 3, customer=customer), "the same question, the same answer"


def test_a_cart_that_says_nothing_is_answered_by_what_is_popular(model: CompanionsModel) -> None:
    answer = model.companions(["10005"], 2)
    assert answer.source == "popular" and answer.codes == ("10003", "10002")


def test_a_popular_model_looks_at_no_cart_and_no_customer(model: CompanionsModel) -> None:
    popular = replace(model, kind="popular")
    for customer in (None, "17850"):
        answer = popular.companions(["10001"], 2, customer=customer)
        assert answer.source == "popular" and answer.codes == ("10005", "10003")


def test_what_is_as_sure_stands_by_its_popularity_however_close(model: CompanionsModel) -> None:
    knots = np.tile([0.0, 1.0], (7, 1))
    flat = dict.fromkeys(CURVES, CartConfidence(scores=knots, shares=np.full_like(knots, 0.07)))
    close = np.array([0.0745, 0.0762, 0.0760, 0.05, 0.0763], np.float32)
    answer = replace(model, kind="popular", popular=close, confidence=flat).companions([], 5)
    assert answer.codes == ("10005", "10002", "10003", "10001", "10004A")
    assert answer.confidence == pytest.approx((0.07,) * 5)


def test_lists_of_neighbours_answer_as_the_whole_matrix(model: CompanionsModel) -> None:
    pairs = sorted(LINKED)
    starts = np.searchsorted([source for source, _ in pairs], np.arange(6)).astype(np.int64)
    sparse = Links(
        np.empty((0, 0), np.float32),
        starts,
        np.array([target for _, target in pairs], np.int32),
        np.array([LINKED[pair] for pair in pairs], np.float32),
    )
    for cart in (["10001"], ["10002", "10004A"], list(CODES[:4])):
        assert replace(model, links=sparse).companions(cart, 4) == model.companions(cart, 4)


def test_a_model_is_the_same_after_it_was_written_and_read(model: CompanionsModel, tmp_path: Path) -> None:
    arrays, files, meta = packed(replace(model, dated=False))
    write_model(tmp_path / "model", arrays=arrays, files=files, meta=meta)
    loaded = CompanionsModel.load(read_model(tmp_path / "model"))
    assert (loaded.as_of, loaded.kind, loaded.dated) == (model.as_of, model.kind, False)
    for cart in ([], ["10001"], ["10003", "10002"], ["nothing"]):
        for customer in (None, "17850", "9"):
            assert loaded.companions(cart, 4, customer=customer) == model.companions(cart, 4, customer=customer)


@pytest.mark.parametrize(
    "missing", ["codes", "popular", "cart_shares", "stranger_further_scores", "history_further_shares"]
)
def test_a_model_without_a_part_is_refused(model: CompanionsModel, tmp_path: Path, missing: str) -> None:
    arrays, files, meta = packed(model)
    kept = {name: array for name, array in arrays.items() if name != missing}
    write_model(tmp_path / "model", arrays=kept, files=files, meta=meta)
    with pytest.raises(ModelFormatError, match=missing):
        CompanionsModel.load(read_model(tmp_path / "model"))


def test_a_model_of_a_kind_that_is_not_known_is_refused(model: CompanionsModel, tmp_path: Path) -> None:
    arrays, files, meta = packed(model)
    write_model(tmp_path / "model", arrays=arrays, files=files, meta=meta | {"kind": "oracle"})
    with pytest.raises(ModelFormatError, match="oracle"):
        CompanionsModel.load(read_model(tmp_path / "model"))


@pytest.mark.parametrize(("customer", "further"), [(None, "stranger_further"), ("9", "cart_further")])
def test_places_after_the_tenth_have_a_curve_of_their_own(
    model: CompanionsModel, customer: str | None, further: Curve
) -> None:
    """It is asked for them alone, and promises no more than the tenth has."""
    n = 20
    dense = np.zeros((n, n), np.float32)
    dense[0, 1:] = np.linspace(0.95, 0.05, n - 1)
    long = replace(
        model,
        codes=tuple(f"2{row:04d}" for row in range(n)),
        descriptions=("CUP",) * n,
        popular=np.full(n, 0.1, np.float32),
        links=model.links._replace(dense=dense),
    )
    alike = long.companions(["20000"], n, customer=customer)
    assert alike.confidence == pytest.approx(dense[0, 1:], abs=1e-5)
    for factor in (0.5, 3.0):
        curve = replace(_as_they_are(), shares=_as_they_are().shares * factor)
        answer = replace(long, confidence={**long.confidence, further: curve}).companions(
            ["20000"], n, customer=customer
        )
        assert (answer.codes, answer.confidence[:10]) == (alike.codes, alike.confidence[:10])
        expected = np.minimum(dense[0, 11:] * factor, alike.confidence[9])
        assert answer.confidence[10:] == pytest.approx(expected, abs=1e-5)


def test_places_after_the_tenth_of_an_answer_from_purchases_have_a_curve_of_their_own(model: CompanionsModel) -> None:
    n = 20
    popular = np.linspace(0.95, 0.05, n).astype(np.float32)
    long = replace(model, codes=tuple(f"2{row:04d}" for row in range(n)), descriptions=("CUP",) * n, popular=popular)
    alike = long.companions([], n, customer="17850")
    assert alike.source == "history" and alike.confidence == pytest.approx(sorted(popular, reverse=True), abs=0.3)
    for factor in (0.5, 3.0):
        curve = replace(_as_they_are(), shares=_as_they_are().shares * factor)
        for which, changed in (("history", slice(0, 10)), ("history_further", slice(10, n))):
            answer = replace(long, confidence={**long.confidence, which: curve}).companions([], n, customer="17850")
            assert answer.codes == alike.codes, "the order is the same"
            expected = np.array(alike.confidence)
            expected[changed] *= factor
            expected[10:] = np.minimum(expected[10:], expected[9])
            assert answer.confidence == pytest.approx(expected, abs=1e-5)
    stranger = long.companions([], n)
    assert stranger.source == "popular" and stranger.confidence == pytest.approx(popular, abs=1e-5)
