"""Names and order of the item features: what the item table holds and the pair features read."""

from __future__ import annotations

from typing import Final

WINDOWS: Final[tuple[int, ...]] = (1, 3, 7, 30)
"""Days that the popularity windows reach back."""

ITEM_FEATURES: Final[tuple[str, ...]] = (
    *(f"item_events_{days}d" for days in WINDOWS),
    "item_events",
    "item_users",
    *(f"item_wanted_{days}d" for days in WINDOWS),
    "item_wanted",
    "item_bought",
    "item_trend",
    "item_view_to_cart",
    "item_cart_to_buy",
    "item_age_days",
    "item_idle_days",
    "category_events_7d",
    "category_wanted_30d",
    "category_view_to_cart",
)
"""Columns of `ItemTable.values`. `wanted` counts carts and purchases; rates are smoothed towards the shop's mean."""
