"""The index against its definition, bins that know ties and gaps, and false alarms counted on drawn days."""

from __future__ import annotations

import math
import sys

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.telemetry.drift import (
    FALSE_ALARMS,
    FLOOR,
    LEAST_VISITORS,
    Day,
    Drift,
    edges_of,
    judge,
    labels_of,
    psi,
    shares,
)
from vitrina.telemetry.drift_report import histograms, page, verdict

NAN = float("nan")
NAMES = tuple(f"f{n}" for n in range(8))
ROWS = 12


def column(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def test_the_index_is_its_sum_when_samples_are_large() -> None:
    before, now = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.3, 0.5]])
    many = 10**9
    assert psi(before, now, many, many)[0] == pytest.approx(0.3 * math.log(2.5) * 2, rel=1e-6)
    assert psi(before, before, 5, 5)[0] == 0.0
    assert psi(now, before, many, many)[0] == pytest.approx(psi(before, now, many, many)[0])


def test_a_bin_empty_in_one_sample_gives_a_finite_index_and_one_empty_in_both_none() -> None:
    before, now = np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, 0.5, 0.0]])
    found = psi(before, now, 1_000, 100)
    assert np.isfinite(found).all() and found[0] > 1
    assert psi(before[:, :2], now[:, :2], 1_000, 100)[0] == pytest.approx(found[0])


@pytest.mark.parametrize(
    ("values", "asked", "bins"),
    [
        (range(1, 101), (10, 10.5, 0, 101), (0, 1, 0, 9)),  # tenths: 1 .. 10 is the first
        ((5,) * 20, (4, 5, 6), (0, 1, 2)),  # a constant: below, it, above
        ((0,) * 80 + tuple(range(1, 21)), (-1, 0, 3, 11, 40), (0, 1, 2, 3, 3)),  # zero fills eight tenths
    ],
)
def test_bins_hold_a_tenth_each_and_frequent_values_have_their_own(
    values: tuple[int, ...], asked: tuple[float, ...], bins: tuple[int, ...]
) -> None:
    edges = edges_of(column(*values))
    assert tuple(np.searchsorted(edges, column(*asked), side="left")) == bins
    assert len(labels_of(edges)) == len(edges) + 2


def test_labels_say_what_lies_in_a_bin() -> None:
    assert labels_of(edges_of(column(*(5,) * 20))) == ("< 5", "= 5", "> 5", "missing")
    assert labels_of(edges_of(column(NAN, NAN))) == ("known", "missing")
    assert labels_of(column(1, 2.5)) == ("\u2264 1", "\u2264 2.5", "> 2.5", "missing")


def test_shares_are_those_of_each_visitor_with_the_missing_ones_last() -> None:
    values = np.stack([column(1, 1, 7, NAN), column(NAN, NAN, NAN, NAN)])[:, :, None]  # (visitors, rows, features)
    np.testing.assert_allclose(shares(values, [column(2)], bins=4)[:, 0], [[0.5, 0.25, 0, 0.25], [0, 0, 0, 1]])


def day(lots: np.random.Generator, visitors: int, *, week: float = 0.0, first: int = 0) -> Day:
    """Rows that resemble their visitor's: a normal, a skewed, a rare, a coarse, a constant, a visitor's own, a mostly
    missing feature, and one in which `week` shifts everybody."""
    own = lots.normal(size=(visitors, 1, len(NAMES)))
    values = own + 0.5 * lots.normal(size=(visitors, ROWS, len(NAMES)))
    values[:, :, 1] = np.exp(2 * values[:, :, 1])
    values[:, :, 2] = values[:, :, 2] > 2.5
    values[:, :, 3] = np.round(values[:, :, 3])
    values[:, :, 4] = 3.0
    values[:, :, 5] = own[:, :, 5]
    values[:, :, 6][values[:, :, 6] < 1] = NAN
    values[:, :, 7] += week
    return Day(visitor=np.arange(first, first + visitors, dtype=np.int32), values=values.astype(np.float32))


def judged(seed: int, *, weekly: float = 0.0, change: tuple[int, float] | None = None, visitors: int = 80) -> Drift:
    """A day against six weeks; visitors come back in part. `weekly` is the spread of the weeks in the last feature."""
    lots = np.random.default_rng(seed)
    weeks = [day(lots, 80, week=weekly * lots.normal(), first=40 * n) for n in range(6)]
    last = day(lots, visitors, week=weekly * lots.normal(), first=100)
    if change is not None:
        last.values[:, :, change[0]] += change[1]
    return judge(NAMES, last, weeks, seed=1)


def test_alarms_on_undrifted_days_stay_within_the_stated_rate() -> None:
    alarms = {weekly: sum(bool(judged(n, weekly=weekly).drifted) for n in range(120)) for weekly in (0.0, 1.0)}
    sys.stdout.write(f"days with an alarm by weekly spread: {alarms} of 120, stated: {FALSE_ALARMS:.0%}\n")
    assert max(alarms.values()) <= FALSE_ALARMS * 120 + 2 * math.sqrt(FALSE_ALARMS * 120)


def test_more_rows_of_the_same_visitors_are_no_more_evidence() -> None:
    lots = np.random.default_rng(0)
    days = [day(lots, 40, first=40 * n) for n in range(6)]
    longer = [Day(visitor=one.visitor, values=np.repeat(one.values, 5, axis=1)) for one in days]
    once, often = (judge(NAMES, some[0], some[1:], seed=1) for some in (days, longer))
    for one, other in zip(once.features, often.features, strict=True):
        assert (one.psi, one.limit) == pytest.approx((other.psi, other.limit), rel=1e-4)


@pytest.mark.parametrize(("feature", "by"), [(0, 1.5), (1, 20.0), (3, 2.0), (4, 0.5), (5, 1.5), (7, 1.5), (0, NAN)])
def test_a_planted_change_is_found_and_nothing_else(feature: int, by: float) -> None:
    found = judged(3, change=(feature, by))
    assert found.drifted == (NAMES[feature],)
    if math.isnan(by):
        assert found.features[feature].missing_last_day == 1.0 > found.features[feature].missing_training == 0.0


def test_what_changes_every_week_may_change_again() -> None:
    assert judged(3, change=(7, 1.5)).drifted == ("f7",)
    assert judged(3, weekly=3.0, change=(7, 1.5)).drifted == ()


def test_the_limit_falls_with_visitors_down_to_the_convention() -> None:
    lots = np.random.default_rng(0)
    weeks = [day(lots, 1_000, first=1_000 * n) for n in range(3)]
    few, many = (judge(NAMES, day(lots, n, first=5_000), weeks, seed=1) for n in (40, 1_000))
    assert all(one.limit == FLOOR for one in many.features)
    assert few.features[5].limit > FLOOR


def test_too_little_is_not_judged_and_says_why() -> None:
    found = judged(0, visitors=LEAST_VISITORS - 1)
    assert (found.judged, found.features, found.drifted) == (False, (), ())
    assert f"{LEAST_VISITORS - 1} visitors" in found.why and found.as_json()["why"] == found.why
    lots = np.random.default_rng(0)
    weeks = [day(lots, 100), day(lots, 100), day(lots, LEAST_VISITORS - 1)]
    assert judge(NAMES, day(lots, 100), weeks, seed=1).why.startswith("2 earlier weeks")
    assert verdict(found) == f"Not judged: {found.why}."
    assert "<img" not in page(found, day=0, title="shop")


def test_the_same_days_give_the_same_verdict() -> None:
    assert judged(5) == judged(5)


def test_the_page_says_it_first_and_stays_small() -> None:
    found = judged(3, change=(0, 1.5))
    text = page(found, day=1_442_458_301_001, title="shop & co")
    assert text.index("Drift: 1 of 8 features") < text.index("<img") < text.index("<table>")
    assert "shop &amp; co" in text and "2015-09-17" in text and len(text) < 300_000
    assert text.count("<tr class=") == 8 and text.count('<tr class="drifted"') == 1
    assert text.index("<td>f0</td>") < text.index("<td>f1</td>")
    assert histograms(found.features[:1])[:4] == b"\x89PNG"
    assert verdict(judged(3)) == "No drift: all 8 features of the last day are within their limits."
