"""Co-visitation against its definition, written out slowly, and on logs whose answer is plain."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from vitrina.candidates.covisitation import BACKWARD_WEIGHT, LAGS, STOREFRONT_MATRICES, CoVisitation, fit_covisitation
from vitrina.candidates.neighbours import Neighbours
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.past import Past

Row = tuple[int, int, int, int]
Weights = dict[int, dict[int, float]]
AS_OF = 1_440_000_000_000
MINUTE = 60_000


def defined(rows: list[Row], matrix: CoVisitation, as_of: int) -> Weights:
    """The definition: pairs of an event with the next LAGS of its visitor, one after the other."""
    visits: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for user, item, kind, ts in rows:
        if ts < as_of:
            visits[user].append((ts, item, kind))
    worth: dict[tuple[int, int], float] = defaultdict(float)
    for visit in visits.values():
        visit.sort()
        for place, (ts, item, kind) in enumerate(visit):
            for lag, (later, other, other_kind) in enumerate(visit[place + 1 : place + 1 + LAGS], start=1):
                if item == other or later - ts > matrix.within_days * DAY_MS:
                    continue
                age = (as_of - later) / DAY_MS
                pair = 0.5 ** (age / matrix.half_life) / (1 + math.log(lag))
                if kind in matrix.sources and other_kind in matrix.targets:
                    worth[item, other] += pair
                if matrix.both_ways and other_kind in matrix.sources and kind in matrix.targets:
                    worth[other, item] += pair * BACKWARD_WEIGHT
    total: dict[int, float] = defaultdict(float)
    for (_, target), value in worth.items():
        total[target] += value
    damped: Weights = defaultdict(dict)
    for (source, target), value in worth.items():
        damped[source][target] = value / total[target] ** matrix.damping
    return damped


def fitted(past: Past, *matrices: CoVisitation) -> list[Neighbours]:
    found = fit_covisitation(past.engine, past.events, matrices, as_of=past.as_of, items=past.items)
    assert list(found) == [matrix.name for matrix in matrices]
    return list(found.values())


def targets(found: Neighbours, item: int) -> list[int]:
    return found.of(item)[0].tolist()


def plain(**changed: object) -> CoVisitation:
    settings: dict[str, object] = {"name": "plain", "within_days": 1.0, "both_ways": False, "damping": 0.0}
    return CoVisitation(**(settings | changed))  # type: ignore[arg-type]  # one dictionary of mixed values


def random_log(seed: int, *, events: int = 300, items: int = 12) -> list[Row]:
    rng = np.random.default_rng(seed)
    spread = rng.integers(1, 40 * DAY_MS, events)
    return [
        (int(rng.integers(6)), int(rng.integers(items)), int(rng.choice([VIEW, VIEW, CART, BUY])), int(AS_OF - ago))
        for ago in spread
    ]


@pytest.mark.parametrize("seed", range(3))
def test_every_matrix_follows_its_definition(seed: int, past_of: Callable[..., Past]) -> None:
    rows = random_log(seed)
    matrices = (*STOREFRONT_MATRICES, plain(name="wide", within_days=30.0, both_ways=True, damping=0.5, half_life=9.0))
    past = past_of(rows, users=6, items=12)
    for matrix, found in zip(matrices, fitted(past, *matrices), strict=True):
        expected = defined(rows, matrix, AS_OF)
        for item in range(12):
            kept, weights = found.of(item)
            row = expected.get(item, {})
            assert set(kept.tolist()) == set(row), matrix.name
            assert weights.tolist() == sorted(weights.tolist(), reverse=True)
            np.testing.assert_allclose(weights, [row[other] for other in kept.tolist()], rtol=1e-5)


def test_a_one_way_pair_points_forward(past_of: Callable[..., Past]) -> None:
    past = past_of([(0, 1, VIEW, AS_OF - 2 * MINUTE), (0, 2, VIEW, AS_OF - MINUTE)], users=1, items=3)
    one_way, both = fitted(past, plain(), plain(name="both", both_ways=True))
    assert (targets(one_way, 1), targets(one_way, 2)) == ([2], [])
    assert (targets(both, 1), targets(both, 2)) == ([2], [1])
    assert both.of(2)[1][0] / both.of(1)[1][0] == pytest.approx(BACKWARD_WEIGHT)


@pytest.mark.parametrize(("extra", "counts"), [(0, True), (1, False)])
def test_the_window_holds_its_last_moment(extra: int, counts: bool, past_of: Callable[..., Past]) -> None:
    past = past_of([(0, 1, VIEW, AS_OF - 2 * DAY_MS - extra), (0, 2, VIEW, AS_OF - DAY_MS)], users=1, items=3)
    assert (targets(fitted(past, plain())[0], 1) == [2]) is counts


def test_kinds_select_the_pairs(past_of: Callable[..., Past]) -> None:
    kinds = [VIEW, CART, BUY]
    rows = [(0, item, kind, AS_OF - (9 - item) * MINUTE) for item, kind in enumerate(kinds)]
    found = fitted(
        past_of(rows, users=1, items=3), plain(sources=(VIEW,), targets=(BUY,)), plain(name="b", sources=(CART,))
    )
    assert [targets(found[0], item) for item in range(3)] == [[2], [], []]
    assert [targets(found[1], item) for item in range(3)] == [[], [2], []]


def test_pairs_reach_the_last_lag_and_no_further(past_of: Callable[..., Past]) -> None:
    rows = [(0, item, VIEW, AS_OF - MINUTE + item) for item in range(LAGS + 2)]
    found = fitted(past_of(rows, users=1, items=LAGS + 2), plain())[0]
    assert set(targets(found, 0)) == set(range(1, LAGS + 1))
    weights = dict(zip(*(part.tolist() for part in found.of(0)), strict=True))
    assert weights[1] / weights[LAGS] == pytest.approx(1 + math.log(LAGS), rel=1e-5)


def test_visitors_do_not_mix_and_an_item_is_not_its_own_neighbour(past_of: Callable[..., Past]) -> None:
    rows = [(0, 1, VIEW, AS_OF - 3), (1, 2, VIEW, AS_OF - 2), (0, 1, VIEW, AS_OF - 1), (1, 0, VIEW, AS_OF - 1)]
    found = fitted(past_of(rows, users=2, items=3), plain())[0]
    assert [targets(found, item) for item in range(3)] == [[], [], [0]]


def test_damping_favours_the_rare_target(past_of: Callable[..., Past]) -> None:
    pairs = [(0, 1), (0, 2), (0, 1), (3, 1), (3, 1), (3, 1)]  # after item 0: 1 twice, 2 once; 1 follows everything
    rows = [
        row
        for user, (first, second) in enumerate(pairs)
        for row in ((user, first, VIEW, AS_OF - 2), (user, second, VIEW, AS_OF - 1))
    ]
    past = past_of(rows, users=len(pairs), items=4)
    undamped, damped = fitted(past, plain(), plain(name="damped", damping=0.9))
    assert targets(undamped, 0) == [1, 2]
    assert targets(damped, 0) == [2, 1]


def test_ties_go_to_the_smaller_item_and_only_the_best_stay(past_of: Callable[..., Past]) -> None:
    rows = [row for user in range(5) for row in ((user, 0, VIEW, AS_OF - 2), (user, 5 - user, VIEW, AS_OF - 1))]
    found = fitted(past_of(rows, users=5, items=6), plain(keep=3))[0]
    assert targets(found, 0) == [1, 2, 3]


def test_the_future_changes_nothing(past_of: Callable[..., Past]) -> None:
    rows = random_log(9)
    later = [(user, (item + 1) % 12, kind, AS_OF + place * MINUTE) for place, (user, item, kind, _) in enumerate(rows)]
    before = fitted(past_of(rows, users=6, items=12), *STOREFRONT_MATRICES)
    after = fitted(past_of(rows + later, users=6, items=12), *STOREFRONT_MATRICES)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.indptr, other.indptr)
        np.testing.assert_array_equal(one.items, other.items)
        np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6)
