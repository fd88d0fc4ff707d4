"""The business by day: rows of counts (`vitrina/events/days.py`) -> rates, and Graphite's series of both."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from vitrina.telemetry.graphite import GraphiteSender

COUNTS: Final = ("views", "carts", "purchases", "visitors")
"""The counts of a day that become series."""

RATES: Final = ("view_to_cart", "cart_to_purchase", "purchase")

SERIES_OF_RATE: Final = {
    "view_to_cart": "view_to_cart",
    "cart_to_purchase": "cart_to_purchase",
    "purchase": "purchase_rate",
}

AGAIN_SECONDS: Final = 3600.0


def day_rates(day: Mapping[str, Any]) -> dict[str, float]:
    """The rates of one day, by the names of `RATES`; a rate of nothing (no view, no cart) is left out.

    * `view_to_cart` = carts / views: the share of views that became a cart.
    * `cart_to_purchase` = purchases / carts: lines bought for each line put into a cart. It exceeds 1 on a day on which
      more is bought than put into carts (the carts of the day before).
    * `purchase` = carting_buyers / carting_visitors: the share of those who carted that also bought, on the same day.
    """
    parts = {
        "view_to_cart": (day["carts"], day["views"]),
        "cart_to_purchase": (day["purchases"], day["carts"]),
        "purchase": (day["carting_buyers"], day["carting_visitors"]),
    }
    return {name: some / every for name, (some, every) in parts.items() if every}


def day_begin(day: Mapping[str, Any]) -> int:
    """The begin of a day in seconds since the epoch, UTC."""
    return int(datetime.fromisoformat(day["day"]).replace(tzinfo=UTC).timestamp())


class DaySeries:
    """Sends `vitrina.<scenario>.day.{views,carts,purchases,visitors,view_to_cart,cart_to_purchase,purchase_rate}`.

    Each value is stamped with its day's begin, so sending again changes nothing; and since Graphite acknowledges
    nothing, the same days are sent again when `again` seconds have passed. Safe to call from several threads.
    """

    def __init__(self, sender: GraphiteSender, *, again: float = AGAIN_SECONDS) -> None:
        self._sender = sender
        self._again = again
        self._lock = threading.Lock()
        self._forwarded: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def forward(self, scenario: str, days: Sequence[Mapping[str, Any]], *, now: float) -> int:
        """Hands the days of a scenario to the sender if they are new or due again; how many values these were.

        `days` are rows of `business_days`, oldest first; `now` is any clock in seconds. Never waits for Graphite.
        """
        rows = [dict(day) for day in days]
        with self._lock:
            at, before = self._forwarded.get(scenario, (now, []))
            if rows == before and now - at < self._again:
                return 0
            self._forwarded[scenario] = (now, rows)
        values = [(name, value, day_begin(day)) for day in rows for name, value in _values(scenario, day)]
        for name, value, ts in values:
            self._sender.send(name, value, ts)
        return len(values)


def _values(scenario: str, day: Mapping[str, Any]) -> list[tuple[str, float]]:
    counts = [(f"vitrina.{scenario}.day.{name}", float(day[name])) for name in COUNTS]
    return counts + [(f"vitrina.{scenario}.day.{SERIES_OF_RATE[name]}", rate) for name, rate in day_rates(day).items()]
