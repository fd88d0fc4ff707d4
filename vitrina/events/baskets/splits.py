"""The log of baskets cut by time: what is learned from, what is chosen on, what is judged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from vitrina.errors import DataError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS

SPLIT_FILE = "split.json"
LEAST_MONTHS, LEAST_DAYS = 4, 28
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.10
LEAST_LEARNED, LEAST_JUDGED = 100, 30


@dataclass(frozen=True, kw_only=True)
class BasketSplit:
    """In ms (places, where baskets are not dated): learn before `validation`, choose before `test`, judge before `end`.

    `judges`: whether each part has the baskets of two products or more that it takes.
    """

    validation: int
    test: int
    end: int
    judges: bool

    @classmethod
    def of(cls, baskets: Baskets) -> Self:
        """Calendar months (UTC) when the log touches four of them: the last ones that together have 28 days, and as
        many baskets of two or more as judging takes, are judged, and those before that have as many are chosen on.
        Else the last 15 % of the baskets of two or more, and the 10 % before them."""
        pairs = baskets.of_size(2)
        end = int(baskets.ts[-1]) + 1
        validation, test = _by_months(baskets, pairs) or _by_share(pairs, end)
        cut = cls(validation=validation, test=test, end=end, judges=False)
        learned, *others = cut.sizes(pairs)
        return replace(cut, judges=learned >= LEAST_LEARNED and min(others) >= LEAST_JUDGED)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote; `DataError` when it cannot be read."""
        path = folder / SPLIT_FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"no split ({error})", where=str(path), remedy="Run the step `prepare` again.") from error

    def sizes(self, pairs: Baskets) -> tuple[int, int, int]:
        """How many of the baskets are learned from, chosen on, judged."""
        learned, chosen = pairs.between(None, self.validation), pairs.between(self.validation, self.test)
        return len(learned), len(chosen), len(pairs.between(self.test, self.end))

    def shortage(self, pairs: Baskets) -> str:
        """What a log that does not judge lacks: how many baskets each part has, and since when."""
        since = [f" (from {_month(ts):%Y-%m} on)" if pairs.dated else "" for ts in (self.validation, self.test)]
        learned, chosen, judged = self.sizes(pairs)
        return (
            f"there are too few baskets of two products or more to judge a model on: {learned:,} of at least "
            f"{LEAST_LEARNED} to learn from, {chosen:,} of {LEAST_JUDGED} to choose on{since[0]}, "
            f"{judged:,} of {LEAST_JUDGED} to judge{since[1]}"
        )

    def write(self, folder: Path) -> None:
        """Writes split.json."""
        (folder / SPLIT_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")


def _by_months(baskets: Baskets, pairs: Baskets) -> tuple[int, int] | None:
    """Where the months for choosing and for judging begin; None when there are too few."""
    if not baskets.dated:
        return None
    first, last = _month(int(baskets.ts[0])), int(baskets.ts[-1])
    now = _month(last)
    if (now.year - first.year) * 12 + now.month - first.month + 1 < LEAST_MONTHS:
        return None
    test = _enough(pairs, now, last + 1, first)
    while last // DAY_MS - _ms(test) // DAY_MS + 1 < LEAST_DAYS:
        test = _month(_ms(test) - 1)
    validation = _enough(pairs, _month(_ms(test) - 1), _ms(test), first)
    return (_ms(validation), _ms(test)) if validation > first else None


def _enough(pairs: Baskets, month: datetime, end: int, first: datetime) -> datetime:
    """The latest month, from `month` back to `first`, from which on to `end` there are enough baskets."""
    while month > first and len(pairs.between(_ms(month), end)) < LEAST_JUDGED:
        month = _month(_ms(month) - 1)
    return month


def _by_share(pairs: Baskets, end: int) -> tuple[int, int]:
    count = len(pairs)
    if count == 0:
        return end, end
    test = count - int(count * TEST_SHARE)
    validation = test - int(count * VALIDATION_SHARE)
    return int(pairs.ts[min(validation, count - 1)]), int(pairs.ts[min(test, count - 1)])


def _month(ts: int) -> datetime:
    """The month of a time, as its first moment."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts)
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000
