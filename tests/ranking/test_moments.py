"""Moments and what was wanted after them, on a log small enough to read; labels never lie before the moment."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.history import Histories, Moments
from vitrina.ranking.moments import Wanted, between_moments, cut_moments, visit_moments, wanted_after
from vitrina.ranking.regimes import VISIT_GAP_MS

DAY = DAY_MS
LOG = [  # user, day, item, kind
    (0, 1, 10, VIEW), (0, 5, 12, CART), (0, 5, 11, CART), (0, 6, 12, BUY), (0, 7, 13, VIEW), (0, 9, 14, BUY),
    (1, 5, 20, CART),  # wants something, but has no past
    (2, 2, 30, CART),  # has a past, wants nothing later
    (3, 4, 40, VIEW), (3, 5, 41, BUY), (3, 5, 42, VIEW),
]  # fmt: skip


@pytest.fixture
def histories() -> Histories:
    user, day, item, kind = np.array(LOG).T
    return Histories.from_events(
        user.astype(np.int32), item.astype(np.int32), kind.astype(np.int8), day.astype(np.int64) * DAY, users=5
    )


def rows_of(wanted: Wanted) -> list[list[int]]:
    return [wanted.items[a:b].tolist() for a, b in zip(wanted.indptr[:-1], wanted.indptr[1:], strict=True)]


def past_of(histories: Histories, moments: Moments) -> list[list[int]]:
    return [histories.items[a:b].tolist() for a, b in zip(moments.begin, moments.end, strict=True)]


@pytest.mark.parametrize(
    ("cut", "until", "expected"),
    [
        (5, 9, [11, 12]),  # from the cut itself, up to before the end, once each, ascending
        (5, 10, [11, 12, 14]),
        (6, 9, [12]),
        (7, 9, []),
    ],
)
def test_wanted_are_carts_and_purchases_from_the_moment_on(
    cut: int, until: int, expected: list[int], histories: Histories
) -> None:
    moments = histories.at(np.array([0, 4], np.int32), cut * DAY)
    wanted = wanted_after(histories, moments, until * DAY)
    assert rows_of(wanted) == [expected, []]
    assert wanted.sizes.tolist() == [len(expected), 0]


def test_at_a_cut_everybody_with_a_past_and_a_wish_is_asked(histories: Histories) -> None:
    moments, wanted = cut_moments(histories, 5 * DAY, 9 * DAY)
    assert moments.users.tolist() == [0, 3]
    assert past_of(histories, moments) == [[10], [40]]
    assert rows_of(wanted) == [[11, 12], [41]]
    assert set(moments.as_of.tolist()) == {5 * DAY}
    assert len(cut_moments(histories, 10 * DAY, 20 * DAY)[0]) == 0
    assert len(cut_moments(histories, 0, 20 * DAY)[0]) == 0


def test_visits_are_asked_just_before_each_wish(histories: Histories) -> None:
    moments, wanted = visit_moments(histories, 5 * DAY, 20 * DAY, days=4, most=100, seed=0)
    asked = list(
        zip(
            moments.users.tolist(),
            (moments.as_of // DAY).tolist(),
            past_of(histories, moments),
            rows_of(wanted),
            strict=True,
        )
    )
    assert asked == [
        (0, 5, [10], [11, 12, 14]),  # two carts in one instant are one moment, and neither is known yet
        (0, 6, [11, 12, 10], [12, 14]),
        (3, 5, [40], [41]),
    ]


def test_visits_end_with_the_days_and_with_the_window(histories: Histories) -> None:
    moments, _ = visit_moments(histories, 5 * DAY, 20 * DAY, days=1, most=100, seed=0)
    assert (moments.as_of // DAY).tolist() == [5, 5]
    moments, wanted = visit_moments(histories, 5 * DAY, 6 * DAY, days=9, most=100, seed=0)
    assert (moments.as_of // DAY).tolist() == [5, 5]
    assert rows_of(wanted) == [[11, 12], [41]]
    moments, wanted = visit_moments(histories, 15 * DAY, 20 * DAY, days=9, most=100, seed=0)
    assert len(moments) == 0 and rows_of(wanted) == []


def test_too_many_visits_are_drawn_by_the_seed(histories: Histories) -> None:
    drawn = [
        visit_moments(histories, 5 * DAY, 20 * DAY, days=9, most=2, seed=seed)[0].as_of.tolist() for seed in range(8)
    ]
    assert all(len(one) == 2 for one in drawn)
    assert len({tuple(one) for one in drawn}) > 1
    again = visit_moments(histories, 5 * DAY, 20 * DAY, days=9, most=2, seed=3)[0].as_of.tolist()
    assert again == drawn[3]


def asked_between(histories: Histories, most: int = 10_000, seed: int = 0) -> tuple[Moments, Wanted]:
    return between_moments(histories, 5 * DAY, 10 * DAY, days=4, instants=200, most=most, seed=seed)


def test_between_visits_everybody_who_still_wants_something_is_asked(histories: Histories) -> None:
    moments, wanted = asked_between(histories)
    assert set(moments.users.tolist()) == {0}  # 1 and 3 want nothing more after their first cart
    assert (moments.as_of >= 5 * DAY).all() and (moments.as_of < 9 * DAY).all()
    assert len(np.unique(moments.as_of)) > 100
    assert (moments.as_of - histories.ts[moments.begin] >= VISIT_GAP_MS).all()
    for as_of, past, wish in zip(moments.as_of, past_of(histories, moments), rows_of(wanted), strict=True):
        assert past == (
            [11, 12, 10] if as_of <= 6 * DAY else [12, 11, 12, 10] if as_of <= 7 * DAY else [13, 12, 11, 12, 10]
        )
        assert wish == ([12, 14] if as_of <= 6 * DAY else [14])


def test_the_half_hour_after_an_event_belongs_to_the_visit(histories: Histories) -> None:
    moments, _ = between_moments(histories, 5 * DAY, 10 * DAY, days=1 / 48, instants=50, most=99, seed=0)
    assert len(moments) == 0
    moments, _ = between_moments(histories, 5 * DAY, 10 * DAY, days=1 / 24, instants=50, most=99, seed=0)
    assert len(moments) > 0


def test_times_between_visits_are_drawn_by_the_seed(histories: Histories) -> None:
    few, _ = asked_between(histories, most=5)
    assert 0 < len(few) <= 5
    again, _ = asked_between(histories, most=5)
    np.testing.assert_array_equal(few.as_of, again.as_of)
    other, _ = asked_between(histories, most=5, seed=1)
    assert set(other.as_of.tolist()) != set(few.as_of.tolist())


def test_no_history_reaches_its_own_labels(histories: Histories) -> None:
    for moments, _ in (
        cut_moments(histories, 5 * DAY, 20 * DAY),
        visit_moments(histories, 2 * DAY, 20 * DAY, days=20, most=99, seed=0),
        asked_between(histories),
    ):  # fmt: skip
        assert len(moments)
        for begin, end, as_of in zip(moments.begin, moments.end, moments.as_of, strict=True):
            assert (histories.ts[begin:end] < as_of).all()
