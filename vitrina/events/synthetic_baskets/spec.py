"""What a generated shop with invoices is asked to be: `BasketSpec`, with Online Retail as the pattern."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from vitrina.errors import ConfigError

REAL_START_DAY = 14_944  # 2010-12-01, in days since the epoch


@dataclass(frozen=True, kw_only=True)
class BasketSpec:
    """Size and character of a shop. Raises `ConfigError` when a value makes no sense.

    `baskets` are sold to `customers` and to people without a number over `months` of 30 days from the day `start` on
    (since the epoch). `structure` scales what a cart or a customer tells of the next product: at 0 every product is
    taken by itself. `drift` scales seasons, trends, and products that come and go.
    """

    baskets: int = 20_000
    products: int = 1_500
    customers: int = 3_000
    months: int = 12
    seed: int = 0
    start: int = REAL_START_DAY
    structure: float = 1.0
    drift: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = (int, float) if field.type == "float" else (int,)
            if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
                raise ConfigError(f"{field.name}={value!r}: give a {'' if float in wanted else 'whole '}number.")
        self._within("baskets", 1, 100_000_000)
        self._within("products", 20, 90_000)
        self._within("customers", 1, 10_000_000)
        self._within("months", 1, 120)
        self._within("seed", 0, 2**63 - 1)
        self._within("start", 0, 40_000)
        self._within("structure", 0.0, 1.0)
        self._within("drift", 0.0, 1.0)

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ConfigError(f"{name}={value}: give {low:,} to {high:,}.")

    @property
    def days(self) -> int:
        return 30 * self.months
