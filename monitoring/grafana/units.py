"""Values in Grafana's units, as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

TIMES = ((86_400 * 365.25, "y"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
BYTES = ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))


def written(value: float, unit: str, decimals: int | None) -> str:
    """The value with its unit; without `decimals`, three digits."""
    if unit.startswith("time:"):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d")
    if unit == "s":
        for size, name in TIMES:
            if abs(value) >= size:
                return f"{_number(value / size, decimals)} {name}"
        return "0 s" if value == 0 else f"{_number(value * 1e6, decimals)} µs"
    if unit == "ms":
        return written(value / 1000, "s", decimals)
    if unit == "mbytes":
        return written(value * 2**20, "bytes", decimals)
    if unit == "percent":
        return f"{_number(value, decimals)}%"
    if unit == "percentunit":
        return f"{_number(value * 100, decimals)}%"
    if unit in ("short", "bytes"):
        for size, name in SHORT if unit == "short" else BYTES:
            if abs(value) >= size:
                return f"{_number(value / size, decimals)}{name}"
        return _number(value, decimals) + (" B" if unit == "bytes" else "")
    return _number(value, decimals) + (" req/s" if unit == "reqps" else "")


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
