"""The blend finds what was planted, is sure as often as it is right, and a loaded one answers as the fitted one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import DataError, ModelFormatError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import growing
from vitrina.ranking.cart_features import CANDIDATES, DENSE_STEP, FEATURES, ROOM, cart_features, new_scratch
from vitrina.ranking.trees import TOGETHER, score_columns
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_desk import EASE_WEIGHT, blended, new_cart_desk
from vitrina.recommend.companions_model import CompanionsModel, packed
from vitrina.registry.model_format import read_model, write_model

ITEMS, CUSTOMERS, LOG = 60, 25, 4_000
SPEC = Blend(iterations=60, every=1)
SHARE = 0.7
"""How often the odd product beside an even one is taken with it."""


def habit(customer: int) -> int:
    """What a customer takes in most of his baskets, whatever else is in them."""
    return 40 + customer % 20


def carts(seed: int, many: int) -> tuple[list[list[int]], list[int]]:
    """Baskets of an even product under 40, with SHARE the odd one after it, the buyer's habit and something else."""
    random = np.random.default_rng(seed)
    rows, buyers = [], []
    for _ in range(many):
        buyer, even = int(random.integers(-1, CUSTOMERS)), 2 * int(random.integers(20))
        row = [even, int(random.integers(40))]
        row += [even + 1] * int(random.random() < SHARE)
        row += [habit(buyer)] * int(buyer >= 0 and random.random() < 0.6)
        rows.append(row)
        buyers.append(buyer)
    return rows, buyers


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    rows, buyers = carts(1, LOG)
    return baskets_of(rows, items=ITEMS, customer=buyers)


@pytest.fixture(scope="module")
def model(baskets: Baskets) -> CompanionsModel:
    return fit_blend(SPEC, baskets, until=LOG, threads=1)


@pytest.fixture(scope="module")
def loaded(model: CompanionsModel, tmp_path_factory: pytest.TempPathFactory) -> CompanionsModel:
    folder = tmp_path_factory.mktemp("blend") / "model"
    write_model(folder, **packed(model)._asdict())
    return CompanionsModel.load(read_model(folder))


def test_planted_companions_and_habits_come_first_and_say_why(baskets: Baskets, model: CompanionsModel) -> None:
    for even in range(0, 40, 6):
        answer = model.companions([baskets.codes[even]], 3)
        assert answer.codes[0] == baskets.codes[even + 1]
        assert answer.because[0] == baskets.codes[even] and answer.source == "cart"
        buyer = even % CUSTOMERS
        answer = model.companions([baskets.codes[even]], 3, customer=baskets.customers[buyer])
        assert set(answer.codes[:2]) == {baskets.codes[even + 1], baskets.codes[habit(buyer)]}


@pytest.mark.parametrize("told", [True, False])
def test_confidence_comes_true_on_later_carts(
    baskets: Baskets, baskets_of: Callable[..., Baskets], model: CompanionsModel, told: bool
) -> None:
    """Of the carts of known customers, and of the same ones when nobody says whose they are."""
    rows, buyers = carts(2, 2_000)
    cases = growing(baskets_of(rows, items=ITEMS, customer=buyers), 5)
    sure, taken = [], []
    for case, buyer in enumerate(cases.customer.tolist()):
        seen, hidden = (
            part.indices[part.indptr[case] : part.indptr[case + 1]] for part in (cases.visible, cases.hidden)
        )
        customer = baskets.customers[buyer] if told and buyer >= 0 else None
        answer = model.companions([baskets.codes[item] for item in seen], 2, customer=customer)
        sure += answer.confidence
        taken += [code in {baskets.codes[item] for item in hidden} for code in answer.codes]
    confidence, came = np.array(sure), np.array(taken)
    bins = np.minimum((confidence * 10).astype(int), 9)
    error = sum(abs(confidence[bins == b].sum() - came[bins == b].sum()) for b in range(10)) / len(came)
    assert error < 0.03
    assert abs(confidence.mean() - came.mean()) < 0.015
    assert confidence.max() > 0.4


def test_a_loaded_model_answers_as_the_fitted_one(
    baskets: Baskets, model: CompanionsModel, loaded: CompanionsModel
) -> None:
    random = np.random.default_rng(3)
    for size in (0, 1, 2, 5, 20):
        cart = [baskets.codes[item] for item in random.choice(ITEMS, size, replace=False)]
        for customer in (None, baskets.customers[3], "stranger", "nan"):
            for n in (1, 7, ITEMS):
                answer = loaded.companions(cart, n, customer=customer)
                assert answer == model.companions(cart, n, customer=customer)
                assert len(answer.codes) == min(n, ITEMS - size) == len(set(answer.codes) - set(cart))
                assert list(answer.confidence) == sorted(answer.confidence, reverse=True)
                assert all(0 <= one <= 1 for one in answer.confidence)


def test_a_blend_of_the_time_before_all_pairs_were_kept_is_refused(model: CompanionsModel, tmp_path: Path) -> None:
    arrays, files, meta = packed(model)
    kept = {name: array for name, array in arrays.items() if name != "tables_dense"}
    write_model(tmp_path / "model", arrays=kept, files=files, meta=meta)
    with pytest.raises(ModelFormatError, match=r"tables_dense.*Train again"):
        CompanionsModel.load(read_model(tmp_path / "model"))


@pytest.mark.parametrize(("customer", "weight"), [(-1, EASE_WEIGHT), (3, 0.0)], ids=["nobody's", "a customer's"])
def test_a_score_is_what_the_trees_say_and_in_nobodys_cart_the_share_of_ease(
    model: CompanionsModel, customer: int, weight: float
) -> None:
    cart, tables = np.array([10, 25], np.int32), model.tables
    cand, because = np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int32)
    columns, trees = np.zeros((len(FEATURES), ROOM), np.float32), np.empty(ROOM)
    count = cart_features(tables, new_scratch(ITEMS), cart, cart[:0], customer, cand, because, columns)
    score_columns(model.trees, 0, columns, count, np.zeros((TOGETHER, ROOM), np.uint8), trees)
    ease = np.maximum(tables.dense[cart].astype(np.float32).sum(axis=0)[cand[:count]], 0) * DENSE_STEP
    expected = dict(zip(cand[:count].tolist(), trees[:count] + weight * ease / ease.max(), strict=True))
    assert np.ptp(trees[:count]) > 0.1 and np.ptp(ease) > 0.1, "both tell products apart"
    found, scores, because = np.empty(count, np.int32), np.empty(count, np.float32), np.empty(count, np.int32)
    assert blended(new_cart_desk(tables, model.trees), cart, cart[:0], customer, found, scores, because) == count
    assert scores == pytest.approx([expected[item] for item in found.tolist()], abs=1e-5)
    assert (np.diff(scores) <= 0).all()


def test_the_same_baskets_give_the_same_model(baskets: Baskets, model: CompanionsModel) -> None:
    again = packed(fit_blend(SPEC, baskets, until=LOG, threads=1)).arrays
    for name, array in packed(model).arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_nothing_of_the_time_after_is_learned(baskets: Baskets, baskets_of: Callable[..., Baskets]) -> None:
    rows, buyers = carts(1, LOG)
    changed = baskets_of(
        rows[:3_000] + [[1, 59]] * 1_000, items=ITEMS, customer=[*buyers[:3_000], *([CUSTOMERS - 1] * 1_000)]
    )
    ours, theirs = (packed(fit_blend(SPEC, log, until=3_000, threads=1)).arrays for log in (baskets, changed))
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)


def test_unknown_products_are_named_and_never_guessed_from(baskets: Baskets, model: CompanionsModel) -> None:
    popular = model.companions([], 5)
    for cart in (["99999"], ["nothing", "99999"]):
        answer = model.companions(cart, 5)
        assert (answer.codes, answer.source, answer.unknown) == (popular.codes, "popular", tuple(cart))
    customer = baskets.customers[7]
    answer = model.companions(["99999"], 5, customer=customer)
    assert answer.source == "history" and answer.codes[0] == baskets.codes[habit(7)]
    mixed = model.companions(["99999", baskets.codes[0]], 5)
    assert mixed.unknown == ("99999",) and mixed.codes == model.companions([baskets.codes[0]], 5).codes


@pytest.mark.parametrize("customer", [None, 5], ids=["nobody", "a customer"])
@pytest.mark.parametrize("products", [[], [0], [0, 7, 12]], ids=len)
def test_excluded_products_leave_their_places_to_others_and_their_confidence_as_it_is(
    baskets: Baskets, model: CompanionsModel, products: list[int], customer: int | None
) -> None:
    cart, who = [baskets.codes[item] for item in products], None if customer is None else baskets.customers[customer]
    whole = model.companions(cart, 20, customer=who)
    for out in (whole.codes[:1], whole.codes[1:3], whole.codes[::2], [baskets.codes[0]]):
        rest = model.companions(cart, 5, customer=who, exclude=out)
        stay = [place for place, code in enumerate(whole.codes) if code not in out][:5]
        assert rest.codes == tuple(whole.codes[place] for place in stay)
        assert rest.confidence == tuple(whole.confidence[place] for place in stay)
        assert rest.because == tuple(whole.because[place] for place in stay)
        assert rest.source == whole.source


def test_threads_do_not_disturb_each_other(baskets: Baskets, loaded: CompanionsModel) -> None:
    asked = [[baskets.codes[item], baskets.codes[(item * 7 + 3) % ITEMS]] for item in range(ITEMS)]
    expected = [loaded.companions(cart, 10, customer=baskets.customers[5]) for cart in asked]
    wrong: list[int] = []

    def ask() -> None:
        for _ in range(5):
            for place, cart in enumerate(asked):
                if loaded.companions(cart, 10, customer=baskets.customers[5]) != expected[place]:
                    wrong.append(place)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("many", [1, 3, 30])
def test_a_log_too_short_to_learn_from_still_answers(baskets_of: Callable[..., Baskets], many: int) -> None:
    log = baskets_of([[0, 1], [2, 3], [4]] * many, items=5)
    model = fit_blend(Blend(iterations=5), log, until=len(log), threads=1)
    answer = model.companions([log.codes[0]], 4)
    assert len(answer.codes) == 4 and log.codes[0] not in answer.codes


def test_a_blend_of_other_features_is_refused(model: CompanionsModel, tmp_path: Path) -> None:
    made = packed(model)
    write_model(tmp_path / "model", arrays=made.arrays, files=made.files, meta=made.meta | {"features": ["other"]})
    with pytest.raises(ModelFormatError, match="features"):
        CompanionsModel.load(read_model(tmp_path / "model"))
    assert "companions.cbm" in made.files


def test_settings_and_logs_without_anything_to_learn_from_are_named(baskets_of: Callable[..., Baskets]) -> None:
    with pytest.raises(ValueError, match="folds is 0"):
        Blend(folds=0)
    with pytest.raises(ValueError, match="folds is 9: with more than 8 nothing is left"):
        Blend(folds=9)
    with pytest.raises(DataError, match="no basket before"):
        fit_blend(Blend(), baskets_of([[0, 1]] * 20), until=0)


def test_a_habit_in_the_first_place_does_not_hide_what_the_cart_says(model: CompanionsModel) -> None:
    others = 0
    for customer in model.customers:
        for code in model.codes:
            ten, one = (model.companions([code], n, customer=customer) for n in (10, 1))
            assert (one.source, one.codes, one.because, one.confidence) == (
                ten.source,
                ten.codes[:1],
                ten.because[:1],
                ten.confidence[:1],
            )
            others += ten.source == "cart" and ten.because[0] is None
    assert others > 0
