"""Cells of the DataFrames that MLflow hands to our models: gaps, and whole numbers that pandas made floats of."""

from __future__ import annotations

from typing import Any

from vitrina.errors import RequestError


def is_gap(value: Any) -> bool:
    """Pandas fills gaps with NaN, the only number unlike itself."""
    return value is None or (isinstance(value, float) and value != value)


def whole(value: Any, field: str, most: int) -> int:
    """A number from 1 to `most`; `RequestError` for any other, and for what is no whole number."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not 1 <= number <= most or number != value:
        raise RequestError(f"{value!r} is not a whole number from 1 to {most}", field=field, remedy="Send one")
    return number
