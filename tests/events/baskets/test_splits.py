"""Baskets are cut by calendar months where there are enough of them, else by shares; never across time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import DataError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.splits import BasketSplit

DAY = 86_400_000


def ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def pairs_at(ts: Sequence[int], *, dated: bool = True) -> Baskets:
    """A basket of the same two products at each time."""
    count = len(ts)
    made = Baskets.of_lines(np.repeat(np.arange(count), 2), [0, 1] * count, ts=np.repeat(ts, 2))
    return replace(made, dated=dated)


def daily(first: str, last: str) -> Baskets:
    return pairs_at(range(ms(first) + DAY // 2, ms(last) + DAY, DAY // 4))


@pytest.mark.parametrize(
    ("first", "last", "validation", "test"),
    [
        ("2010-12-01", "2011-12-09", "2011-10-01", "2011-11-01"),
        ("2011-01-01", "2011-04-30", "2011-03-01", "2011-04-01"),
        ("2011-01-01", "2011-04-27", "2011-02-01", "2011-03-01"),
        ("2010-11-20", "2011-02-28", "2011-01-01", "2011-02-01"),
        ("2010-10-20", "2011-01-02", "2010-11-01", "2010-12-01"),
    ],
)
def test_the_last_months_with_28_days_are_judged(first: str, last: str, validation: str, test: str) -> None:
    baskets = daily(first, last)
    split = BasketSplit.of(baskets)
    assert (split.validation, split.test, split.end) == (ms(validation), ms(test), int(baskets.ts[-1]) + 1)


def test_one_late_basket_does_not_make_the_test() -> None:
    """A month with a basket or two is judged together with the months before it, and so is one to choose on."""
    log = daily("2010-12-01", "2011-10-31").ts.tolist()
    late = pairs_at([*log, ms("2012-06-15")])
    split = BasketSplit.of(late)
    assert (split.validation, split.test, split.judges) == (ms("2011-09-01"), ms("2011-10-01"), True)
    thin = pairs_at([*(ts for ts in log if not ms("2011-08-01") <= ts < ms("2011-10-01")), ms("2011-09-15")])
    few = BasketSplit.of(pairs_at(sorted(thin.ts.tolist())))
    assert (few.validation, few.test, few.judges) == (ms("2011-07-01"), ms("2011-10-01"), True)


def test_a_small_shop_is_judged_by_more_months() -> None:
    weekly = pairs_at(range(ms("2008-01-01"), ms("2012-01-01"), 3 * DAY))
    split = BasketSplit.of(weekly)
    assert (split.validation, split.test, split.judges) == (ms("2011-07-01"), ms("2011-10-01"), True)


@pytest.mark.parametrize("dated", [True, False])
def test_short_and_undated_logs_are_cut_by_shares(dated: bool) -> None:
    baskets = pairs_at(range(1000) if not dated else range(ms("2011-01-01"), ms("2011-01-01") + 1000), dated=dated)
    split = BasketSplit.of(baskets)
    assert len(baskets.between(None, split.validation)) == 750
    assert len(baskets.between(split.validation, split.test)) == 100
    assert len(baskets.between(split.test, split.end)) == 150
    assert split.judges


def test_shares_are_of_baskets_that_have_a_companion() -> None:
    baskets = pairs_at(range(1000), dated=False)
    sizes = np.where(np.arange(1000) < 500, 1, 2)
    mixed = replace(
        baskets,
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        items=np.concatenate([np.zeros(500, dtype=np.int32), np.tile(np.array([0, 1], dtype=np.int32), 500)]),
    )
    assert BasketSplit.of(mixed).test == 500 + 425


def test_too_little_data_is_not_judged() -> None:
    assert not BasketSplit.of(pairs_at(range(150), dated=False)).judges
    assert BasketSplit.of(pairs_at(range(400), dated=False)).judges
    one = BasketSplit.of(pairs_at([5], dated=False))
    assert (one.judges, one.end) == (False, 6)
    assert BasketSplit.of(pairs_at([5], dated=False).of_size(1)) == one


def test_what_is_too_little_is_said() -> None:
    dated = pairs_at([ms("2011-01-03"), ms("2011-02-03"), ms("2011-03-03"), ms("2021-03-03")])
    told = BasketSplit(validation=ms("2011-03-01"), test=ms("2021-03-01"), end=ms("2021-03-04"), judges=False)
    assert told.sizes(dated) == (2, 1, 1)
    assert told.shortage(dated).endswith(
        "2 of at least 100 to learn from, 1 of 30 to choose on (from 2011-03 on), 1 of 30 to judge (from 2021-03 on)"
    )
    plain = pairs_at(range(150), dated=False)
    assert BasketSplit.of(plain).shortage(plain).endswith("15 of 30 to choose on, 22 of 30 to judge")


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    split = BasketSplit(validation=1, test=2, end=3, judges=True)
    split.write(tmp_path)
    assert BasketSplit.read(tmp_path) == split
    with pytest.raises(DataError, match="no split"):
        BasketSplit.read(tmp_path / "nowhere")
