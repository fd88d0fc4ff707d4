"""What a generated bank panel is asked to be: `PanelSpec`, with Santander's train_ver2.csv as the pattern."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from vitrina.errors import ConfigError

REAL_ROWS = 13_647_309
REAL_CUSTOMERS = 956_645
REAL_START = 2015 * 12  # January 2015
REAL_MONTHS = 17


@dataclass(frozen=True, kw_only=True)
class PanelSpec:
    """Size and character of a panel. Raises `ConfigError` when a value makes no sense.

    `customers` live for up to `months` months from the month `start` (`year * 12 + month - 1`): two thirds from the
    first on, the others join later, a few leave; at 17 months that is 14.3 rows each. `structure` scales everything
    that makes one customer or month differ from another: 1 is the full law, at 0 each product not owned is taken
    with one chance of its own.
    """

    customers: int = 10_000
    months: int = REAL_MONTHS
    seed: int = 0
    start: int = REAL_START
    structure: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = (int, float) if field.name == "structure" else (int,)
            if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
                raise ConfigError(f"{field.name}={value!r}: give a {'' if float in wanted else 'whole '}number.")
        self._within("customers", 1, 100_000_000)
        self._within("months", 2, 120)
        self._within("seed", 0, 2**63 - 1)
        self._within("start", 1950 * 12, 2100 * 12)
        self._within("structure", 0.0, 1.0)

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ConfigError(f"{name}={value}: give {low:,} to {high:,}.")

    @property
    def end(self) -> int:
        """The first month after the panel."""
        return self.start + self.months
