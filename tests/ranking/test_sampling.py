"""Training rows: positives all there, negatives from the same candidates, the rows that the service would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitrina.candidates.retrieval import SOURCES
from vitrina.candidates.union import UNRANKED
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Moments
from vitrina.ranking.moments import Wanted, cut_moments, visit_moments
from vitrina.ranking.sampling import Recall, Rows, sample_rows

AS_OF = 1_440_000_000_000
LIMIT = 40
Sampled = tuple[Rows, Recall]


@pytest.fixture(scope="module")
def asked(world: Any) -> tuple[Moments, Wanted]:
    return cut_moments(world.histories, AS_OF, AS_OF + 14 * DAY_MS)


@pytest.fixture(scope="module")
def sample(world: Any, asked: tuple[Moments, Wanted]) -> Callable[..., Sampled]:
    def run(moments: Moments = asked[0], wanted: Wanted = asked[1], **changed: Any) -> Sampled:
        options: dict[str, Any] = {"limit": LIMIT, "negatives": 10, "seed": 7, "threads": 2}
        return sample_rows(
            world.histories, moments, wanted, taste=world.taste, tables=world.tables, **(options | changed)
        )

    return run


def wanted_by(wanted: Wanted, place: int) -> set[int]:
    return set(wanted.items[wanted.indptr[place] : wanted.indptr[place + 1]].tolist())


@pytest.mark.parametrize("negatives", [1, 10, 1000])
def test_rows_are_the_candidates_that_the_service_would_rank(
    negatives: int, sample: Callable[..., Sampled], asked: tuple[Moments, Wanted], ask: Callable[..., Any]
) -> None:
    moments, wanted = asked
    rows, _ = sample(negatives=negatives)
    groups = set(rows.group.tolist())
    assert len(groups) > 20 and (np.diff(rows.group) >= 0).all()
    for place, user in enumerate(moments.users.tolist()):
        served = ask(user, limit=LIMIT)
        positive = np.isin(served.cand, list(wanted_by(wanted, place)))
        assert (place in groups) == (0 < positive.sum() < len(positive))
        if place not in groups:
            continue
        mine = rows.where(rows.group == place)
        # every positive, in the order of the candidates, with the very numbers that serving makes
        np.testing.assert_array_equal(mine.features[mine.label == 1], served.rows[positive])
        others = {row.tobytes() for row in served.rows[~positive]}
        drawn = [row.tobytes() for row in mine.features[mine.label == 0]]
        assert set(drawn) <= others and len(set(drawn)) == len(drawn)
        assert len(drawn) == min(negatives, int((~positive).sum()))


@pytest.mark.parametrize("threads", [1, 3, 64])
def test_threads_change_nothing(threads: int, sample: Callable[..., Sampled]) -> None:
    one, recall = sample(threads=threads)
    other, same = sample()
    for name in ("features", "label", "group"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert recall == same


def test_another_seed_draws_other_negatives(sample: Callable[..., Sampled]) -> None:
    one, other = sample()[0], sample(seed=8)[0]
    assert one.label.sum() == other.label.sum()
    assert not np.array_equal(one.features, other.features, equal_nan=True)


def test_recall_is_the_share_of_the_wanted_items(
    sample: Callable[..., Sampled], asked: tuple[Moments, Wanted], ask: Callable[..., Any]
) -> None:
    moments, wanted = asked
    hits = dict.fromkeys(("union", *SOURCES), 0)
    for place, user in enumerate(moments.users.tolist()):
        served = ask(user, limit=LIMIT)
        for item, ranks in zip(served.cand.tolist(), served.ranks, strict=True):
            if item in wanted_by(wanted, place):
                hits["union"] += 1
                for source, rank in zip(SOURCES, ranks, strict=True):
                    hits[source] += rank < UNRANKED
    recall = sample()[1]
    assert recall.pairs == len(wanted.items)
    assert recall.union == pytest.approx(hits.pop("union") / recall.pairs)
    assert recall.by_source == pytest.approx({source: count / recall.pairs for source, count in hits.items()})
    assert 0 < recall.union < 1


def test_moments_that_want_nothing_findable_teach_nothing(world: Any, sample: Callable[..., Sampled]) -> None:
    moments = world.histories.at(np.array([0, 1, 2], np.int32), AS_OF)
    unseen = Wanted(indptr=np.array([0, 1, 1, 2]), items=np.array([49, 48], np.int32))
    rows, recall = sample(moments, unseen)
    assert (len(rows), rows.groups) == (0, 0)
    assert (recall.pairs, recall.union) == (2, 0.0)


def test_nobody_to_ask_is_no_row(world: Any, sample: Callable[..., Sampled]) -> None:
    nobody = visit_moments(world.histories, AS_OF + 99 * DAY_MS, AS_OF + 100 * DAY_MS, days=1, most=5, seed=1)
    rows, recall = sample(*nobody)
    assert (len(rows), recall.pairs, recall.union) == (0, 0, 0.0)


def test_joined_parts_keep_their_groups_apart(sample: Callable[..., Sampled]) -> None:
    rows, _ = sample()
    joined = Rows.join([rows, rows])
    assert joined.groups == 2 * rows.groups
    assert sorted(set(joined.group.tolist())) == list(range(joined.groups))
    assert (np.diff(joined.group) >= 0).all()
    half = joined.where(joined.group >= rows.groups)
    np.testing.assert_array_equal(half.label, rows.label)
