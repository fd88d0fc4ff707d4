"""What a generated world is asked to be: `WorldSpec`, with RetailRocket's own sizes as the proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from vitrina.errors import ConfigError
from vitrina.events.schema import DAY_MS

REAL_EVENTS = 2_756_101
REAL_USERS = 1_407_580
REAL_ITEMS = 235_061
REAL_CATEGORIES = 1_669
CATALOGUE_ITEMS_PER_CATEGORY = 32

HOUR = 3_600_000
DAY = DAY_MS
WEEK = 7 * DAY


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """Size and character of a world. Raises `ConfigError` when the parts cannot hold together.

    `users` visitors and `items` items with at least one event are scaled from `events` when they are not given;
    `items` is met on average, `events` and `users` exactly. `start` is in ms since the epoch (UTC). `drift` is the
    standard deviation of a category's log popularity over time. `structure` runs from 1 (tastes, sessions,
    companions) to 0 (every view is an independent draw from the popularity of that week).
    """

    events: int = 100_000
    users: int | None = None
    items: int | None = None
    days: int = 137
    seed: int = 0
    start: int = 1_430_611_200_000  # 2015-05-03
    drift: float = 0.4
    structure: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name in {"users", "items"}:
                continue
            wanted = (int, float) if field.name in {"drift", "structure"} else (int,)
            if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
                raise ConfigError(f"{field.name}={value!r}: give a {'' if float in wanted else 'whole '}number.")
        self._within("events", 100, 10_000_000_000)
        self._within("days", 1, 3_660)
        self._within("seed", 0, 2**63 - 1)
        self._within("start", 0, 4_000_000_000_000)
        self._within("drift", 0.0, 5.0)
        self._within("structure", 0.0, 1.0)
        if self.users is not None:
            self._within("users", 1, min(self.events, 2**31 - 1))
        if self.items is not None:
            self._within("items", 1, min(self.events, 500_000_000))

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ConfigError(f"{name}={value}: give {low:,} to {high:,}.")

    @property
    def n_users(self) -> int:
        return self.users if self.users is not None else max(1, round(self.events * REAL_USERS / REAL_EVENTS))

    @property
    def n_items(self) -> int:
        return self.items if self.items is not None else max(1, round(self.events * REAL_ITEMS / REAL_EVENTS))

    @property
    def end(self) -> int:
        """The first millisecond after the world's last day."""
        return self.start + self.days * DAY
