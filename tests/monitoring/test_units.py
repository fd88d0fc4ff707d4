"""Values in Grafana's units, as the pictures write them."""

from __future__ import annotations

import pytest
from grafana.units import written


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.00025, "s", None, "250 µs"),
        (0, "s", None, "0 s"),
        (0.0112, "s", None, "11.2 ms"),
        (95, "s", None, "1.58 min"),
        (2.5 * 86_400, "s", None, "2.5 d"),
        (0.1234, "percentunit", 1, "12.3%"),
        (-0.02, "percentunit", 1, "-2.0%"),
        (2_531, "short", None, "2.53 K"),
        (999, "short", None, "999"),
        (3 * 2**20, "bytes", None, "3 MiB"),
        (3.25, "ms", None, "3.25 ms"),
        (2_048, "mbytes", None, "2 GiB"),
        (61.7, "percent", None, "61.7%"),
        (45.678, "reqps", None, "45.7 req/s"),
        (1_772_323_200_000, "time:YYYY-MM-DD", None, "2026-03-01"),
        (7, "none", None, "7"),
    ],
)
def test_a_value_is_written_as_a_person_reads_it(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals) == text
