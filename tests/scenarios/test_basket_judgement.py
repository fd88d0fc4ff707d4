"""What a model's answers are counted for, and who wins where there are few to judge on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vitrina.candidates.ease import EASE
from vitrina.evaluation.gate import CANDIDATE, CHAMPION
from vitrina.evaluation.report import Scores
from vitrina.events.baskets.baskets import Baskets
from vitrina.recommend.companions_fit import fit_item_item
from vitrina.scenarios.basket_judgement import METRIC, SHOWN, Answers, Questions, decided

BASELINES = ("popular", "item_knn")


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    """An even product goes with the odd one after it."""
    evens = 2 * np.random.default_rng(2).integers(0, 30, 600)
    return baskets_of([[even, even + 1] for even in evens.tolist()], items=60)


def test_what_the_judged_sales_lack_is_shown_all_the_same(baskets: Baskets, baskets_of: Callable[..., Baskets]) -> None:
    model = fit_item_item(EASE(), baskets, until=len(baskets))
    later = baskets_of([[place, (place + 1) % 4, (place + 2) % 4] for place in range(4)] * 5, items=4)
    known = replace(later, codes=tuple(baskets.codes[item] for item in (0, 10, 20, 30)))
    questions = Questions.of(known)
    carts = [questions.one.visible.indices[a:b] for a, b in _spans(questions.one.visible.indptr)]
    shown = {code for cart in carts for code in model.companions([known.codes[item] for item in cart], SHOWN).codes}
    assert len(shown - set(known.codes)) > 5
    assert questions.judge(model).quality()["coverage@10"] == pytest.approx(len(shown) / len(model.codes))
    answers = Answers.of(model, known, questions.one, SHOWN)
    assert len(np.unique(answers.items[answers.items >= 0])) == len(shown)
    assert answers.items.max() >= len(known.codes), "numbers after those of the sales"


@pytest.mark.parametrize(
    ("users", "reigns", "learned", "winner"),
    [
        (60, None, False, "item_knn"),
        (60, "popular", False, "item_knn"),
        (60, CHAMPION, True, CHAMPION),
        (100, CHAMPION, True, CANDIDATE),
        (100, "popular", False, CANDIDATE),
    ],
)
def test_a_learned_champion_stays_where_nothing_can_be_compared(
    users: int, reigns: str | None, learned: bool, winner: str
) -> None:
    scores = {
        name: Scores(values={METRIC: np.full(users, mean)}, clusters=np.arange(users))
        for name, mean in ((CANDIDATE, 0.42), (CHAMPION, 0.40), ("popular", 0.02), ("item_knn", 0.05))
    }
    champion = {} if reigns is None else {CHAMPION: scores[reigns]}
    judged = {name: scores[name] for name in (CANDIDATE, *BASELINES)} | champion
    verdict = decided(judged, BASELINES, learned=learned)
    assert verdict.winner == winner and verdict.promote == (winner == CANDIDATE)
    assert bool(verdict.comparisons) == (users >= 100)
    assert users >= 100 or "only 60" in verdict.reasons[0]


def _spans(starts: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
