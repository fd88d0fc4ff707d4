from __future__ import annotations

import json

import numpy as np
import pytest

from vitrina.evaluation.gate import Gate
from vitrina.evaluation.report import Scores

USERS = 400


def level(value: float, *, noise: float = 0.0, seed: int = 0, users: int = USERS) -> Scores:
    """Scores whose mean is exactly `value`; `noise` is the standard deviation over users."""
    draw = np.random.default_rng(seed).normal(0.0, noise, users) if noise else np.zeros(users)
    return Scores(values={"ndcg@10": value + draw - draw.mean()}, clusters=np.arange(users))


BASELINES = {"popular": level(0.020), "item_knn": level(0.040)}

# Noise .1 on one side only: the standard error over 400 users is .005, the one-sided 95 % bound .0082 below the mean.
BRANCHES = {
    # name: candidate, champion, winner, what the reasons say
    "first run, clearly best": (level(0.060), None, "candidate", "candidate ndcg@10 0.0600 against item_knn 0.0400"),
    "first run, ahead in doubt": (level(0.041, noise=0.1), None, "item_knn", "undecided"),
    "first run, ahead enough": (level(0.050, noise=0.1), None, "candidate", "passed"),
    "first run, a tie is not ahead": (level(0.040), None, "item_knn", "not ahead"),
    "first run, worse than a baseline": (level(0.030), None, "item_knn", "worse"),
    "better than the champion": (level(0.060), level(0.050), "candidate", "against champion 0.0500"),
    "as good as the champion": (level(0.060), level(0.060), "candidate", "passed"),
    "slightly behind, within the margin and in doubt": (
        level(0.0995, noise=0.04), level(0.100), "candidate", "against champion 0.1000"),
    "slightly but surely behind": (level(0.058), level(0.060), "champion", "worse"),
    "perhaps far behind": (level(0.058, noise=0.1), level(0.060), "champion", "undecided"),
    "behind the champion, who beats the baselines": (level(0.050), level(0.060), "champion", "champion is published"),
    "both behind a baseline": (level(0.030), level(0.030), "item_knn", "item_knn ndcg@10 0.0400 against champion"),
    "behind a baseline, the champion not": (level(0.039), level(0.045), "champion", "champion is published"),
    "the champion is the best baseline itself": (level(0.039), level(0.040), "champion", "not ahead"),
    "too few users": (level(0.060, users=20), None, "item_knn", "only 20 users"),
    "too few users beside a champion": (level(0.060, users=20), level(0.050, users=20), "item_knn", "only 20 users"),
}  # fmt: skip


@pytest.mark.parametrize("name", BRANCHES)
def test_every_branch(name: str) -> None:
    candidate, champion, winner, says = BRANCHES[name]
    users = len(candidate)
    baselines = {"popular": level(0.020, users=users), "item_knn": level(0.040, users=users)}
    verdict = Gate().decide(candidate, champion, baselines)
    assert verdict.winner == winner, verdict.reasons
    assert verdict.promote == (winner == "candidate")
    assert any(says in reason for reason in verdict.reasons), verdict.reasons
    json.dumps(verdict.as_json(), allow_nan=False)


def test_the_margin_is_a_share_of_the_reference() -> None:
    candidate, champion = level(0.0995, noise=0.04), level(0.100)  # bound about .0995 - .0033 - .100 = -.0038
    assert Gate(margin=0.05).decide(candidate, champion, BASELINES).promote
    strict = Gate(margin=0.02).decide(candidate, champion, BASELINES)
    assert strict.winner == "champion"
    assert strict.comparisons[0].floor == pytest.approx(-0.002)


def test_a_lead_margin_of_zero_asks_for_a_sure_lead_over_the_baselines_alone() -> None:
    perhaps, surely = level(0.0425, noise=0.04), level(0.0435, noise=0.04)  # bounds .0392 and .0402; item-kNN .0400
    strict = Gate(lead_margin=0.0)
    assert Gate().decide(perhaps, None, BASELINES).promote
    assert strict.decide(perhaps, None, BASELINES).winner == "item_knn"
    assert strict.decide(surely, level(0.044), BASELINES).promote, "the margin against the champion stays"


def test_a_loss_beyond_doubt_is_refused_however_wide_the_margin() -> None:
    surely_behind = level(0.0995, noise=0.001)
    assert Gate(margin=0.5).decide(surely_behind, level(0.100), BASELINES).winner == "champion"


def test_confidence_moves_the_bound() -> None:
    candidate, champion = level(0.0995, noise=0.1), level(0.100)  # standard error .005
    assert not Gate(confidence=0.99).decide(candidate, champion, BASELINES).promote
    assert Gate(confidence=0.80).decide(candidate, champion, BASELINES).promote


def test_an_undecided_comparison_says_how_many_users_would_settle_it() -> None:
    (reason,) = Gate().decide(level(0.041, noise=0.1), None, {"item_knn": level(0.040)}).reasons[:1]
    users = int(reason.split("about ")[1].split(" users")[0])
    assert users == pytest.approx(400 * (0.0082 / 0.005) ** 2, rel=0.15)  # slack .001 + .004
    enough = level(0.041, noise=0.1, users=int(users * 1.1))
    assert Gate().decide(enough, None, {"item_knn": level(0.040, users=len(enough))}).promote


def test_every_comparison_is_handed_back() -> None:
    verdict = Gate().decide(level(0.030), level(0.030), BASELINES)
    assert [(c.model, c.reference, c.passed) for c in verdict.comparisons] == [
        ("candidate", "champion", True),
        ("candidate", "popular", True),
        ("candidate", "item_knn", False),
        ("item_knn", "champion", True),
    ]
    assert len(verdict.as_json()["comparisons"]) == 4


def test_same_scores_same_verdict() -> None:
    case = level(0.045, noise=0.1), level(0.044, noise=0.1, seed=1), BASELINES
    assert Gate().decide(*case) == Gate().decide(*case)


def test_nobody_hits_anything() -> None:
    nothing = {"popular": level(0.0), "item_knn": level(0.0)}
    verdict = Gate().decide(level(0.0), None, nothing)
    assert (verdict.promote, verdict.winner) == (False, "popular")


def test_no_rows_at_all() -> None:
    empty = Scores(values={"ndcg@10": np.empty(0)}, clusters=np.empty(0, dtype=np.int64))
    verdict = Gate().decide(empty, None, {"popular": empty})
    assert verdict.winner == "popular"
    assert "only 0 users" in verdict.reasons[0]


def test_another_metric_may_decide() -> None:
    def two(ndcg: float, recall: float) -> Scores:
        return Scores(
            values={"ndcg@10": np.full(USERS, ndcg), "recall@10": np.full(USERS, recall)}, clusters=np.arange(USERS)
        )

    case = two(0.1, 0.1), None, {"popular": two(0.2, 0.05)}
    assert Gate(metric="recall@10").decide(*case).promote
    assert not Gate(metric="ndcg@10").decide(*case).promote


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="needs baselines"):
        Gate().decide(level(0.1), None, {})
    with pytest.raises(ValueError, match="none of them called"):
        Gate().decide(level(0.1), None, {"champion": level(0.1)})
    with pytest.raises(ValueError, match="same users"):
        Gate().decide(level(0.1), level(0.1, users=300), BASELINES)
    for wrong in (
        {"lead_margin": -0.1},
        {"margin": 1.0},
        {"margin": -0.1},
        {"confidence": 0.5},
        {"min_users": 1},
        {"replicates": 10},
    ):
        with pytest.raises(ValueError, match="out of range"):
            Gate(**wrong)
