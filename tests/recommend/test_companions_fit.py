"""Models of one source find planted companions, and their confidence comes true on carts that they have not seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vitrina.candidates.als import ALS
from vitrina.candidates.carts import Carts
from vitrina.candidates.co_occurrence import Lift
from vitrina.candidates.ease import EASE
from vitrina.candidates.item_knn import RP3Beta
from vitrina.events.baskets.baskets import Baskets
from vitrina.recommend.companions_fit import Linear, calibration_start, fit_item_item, fit_popular, links_of
from vitrina.recommend.companions_model import CompanionsModel

ITEMS = 40
SHARE = 0.8
"""How often the odd product beside an even one is taken with it."""


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    """Each basket holds one even product, with SHARE the odd one after it, and some of the first five."""
    random = np.random.default_rng(1)
    rows = []
    for _ in range(3_000):
        even = 2 * int(random.integers(5, ITEMS // 2))
        others = np.flatnonzero(random.random(5) < 0.3).tolist()
        rows.append([even, *others] + [even + 1] * int(random.random() < SHARE))
    return baskets_of(rows, items=ITEMS, customer=[place % 50 - 1 for place in range(3_000)])


@pytest.fixture(scope="module")
def model(baskets: Baskets) -> CompanionsModel:
    return fit_item_item(EASE(ridge=5.0), baskets, until=2_700)


def test_the_planted_companion_comes_first_as_sure_as_it_is(baskets: Baskets, model: CompanionsModel) -> None:
    sure = []
    for even in range(10, ITEMS, 2):
        answer = model.companions([baskets.codes[even]], 3)
        assert answer.codes[0] == baskets.codes[even + 1] and answer.because[0] == baskets.codes[even]
        sure.append(answer.confidence[0])
    assert np.mean(sure) == pytest.approx(SHARE, abs=0.08)


def test_what_is_popular_is_counted_lately(baskets: Baskets) -> None:
    popular = fit_popular(baskets, until=2_700)
    answer = popular.companions([], 5)
    assert set(answer.codes) == set(baskets.codes[:5])
    assert np.mean(answer.confidence) == pytest.approx(0.3, abs=0.06)
    assert (popular.as_of, popular.dated) == (2_700, False)


@pytest.mark.parametrize("source", [EASE(), Lift(measure="cosine"), RP3Beta()], ids=lambda one: type(one).__name__)
def test_links_say_what_the_source_says(baskets: Baskets, source: Linear) -> None:
    carts = Carts.of(baskets, threads=1)
    fitted = source.fit(carts)
    whole = links_of(fitted, ITEMS)
    if len(whole.dense):
        expected = whole.dense
    else:
        expected = np.zeros((ITEMS, ITEMS), np.float32)
        for item in range(ITEMS):
            span = slice(whole.starts[item], whole.starts[item + 1])
            expected[item, whole.targets[span]] = whole.weights[span]
    companion = expected[10:ITEMS:2].argmax(axis=1)
    assert companion.tolist() == list(range(11, ITEMS, 2))
    assert (np.diag(expected) == 0).all()


def test_a_source_that_is_no_sum_is_refused(baskets: Baskets) -> None:
    with pytest.raises(TypeError, match="ItemFactors"):
        fit_item_item(ALS(factors=4, iterations=1), baskets, until=2_700)


def test_confidence_is_learned_from_the_last_tenth(baskets_of: Callable[..., Baskets]) -> None:
    """The companion is taken nine times in ten, in the last tenth once in ten: the order stays, the chance falls."""
    random = np.random.default_rng(3)
    rows = []
    for place in range(3_000):
        even, taken = 2 * int(random.integers(5, ITEMS // 2)), 0.9 if place < 2_700 else 0.1
        rows.append([even, place % 10] + [even + 1] * int(random.random() < taken))
    log = baskets_of(rows, items=ITEMS)
    assert calibration_start(log, 3_000) == 2_700
    sure = []
    for calibrate in (None, 2_400):
        drifted = fit_item_item(EASE(ridge=5.0), log, until=3_000, calibrate=calibrate)
        answers = [drifted.companions([log.codes[even]], 1) for even in range(10, ITEMS, 2)]
        assert [answer.codes[0] for answer in answers] == list(log.codes[11:ITEMS:2])
        sure.append(np.mean([answer.confidence[0] for answer in answers]))
    assert sure[0] == pytest.approx(0.1, abs=0.06) and sure[1] > 2 * sure[0]


@pytest.mark.parametrize("back", [0, 1, 10])
def test_the_few_who_came_back_do_not_decide_what_is_promised(baskets_of: Callable[..., Baskets], back: int) -> None:
    """Members buy once, early, and as everybody does; only `back` of them are seen again in the last tenth."""
    for seed in range(3):
        random = np.random.default_rng(seed)
        shares = np.linspace(0.3, 0.02, ITEMS)
        rows = [np.flatnonzero(row).tolist() or [0] for row in random.random((2_000, ITEMS)) < shares]
        members = [*range(400), *([-1] * 1_450), *range(back), *([-1] * (150 - back))]
        log = baskets_of(rows, items=ITEMS, ts=[place * 10_800_000 for place in range(2_000)], customer=members)
        model = fit_item_item(EASE(ridge=20.0), log, until=int(log.ts[-1]) + 1)
        answers = [model.companions([], 10, customer=log.customers[member]) for member in range(100, 140)]
        assert {answer.source for answer in answers} == {"history"}
        chances = dict(zip(log.codes, shares, strict=True))
        off = [
            abs(said - chances[code])
            for answer in answers
            for code, said in zip(answer.codes, answer.confidence, strict=True)
        ]
        assert np.mean(off) < 0.04


def test_a_young_shop_takes_shares_as_they_are(baskets_of: Callable[..., Baskets]) -> None:
    """Of thirty baskets three are the last tenth, which tell little of what a share is worth."""
    off = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        shares = np.linspace(0.5, 0.1, 12)
        rows = [np.flatnonzero(row).tolist() or [0] for row in random.random((30, 12)) < shares]
        model = fit_popular(baskets_of(rows, items=12), until=30)
        answer = model.companions([], 7)
        chances = dict(zip(model.codes, shares, strict=True))
        off += [abs(said - chances[code]) for code, said in zip(answer.codes, answer.confidence, strict=True)]
    assert np.mean(off) < 0.09


def test_without_baskets_there_is_no_last_tenth(baskets: Baskets) -> None:
    assert calibration_start(baskets.between(0, 0), 5) == 5
