"""Time and memory of `vitrina train bank_products` on raw files of 48 columns as train_ver2.csv has them, step by step:
from the files to a champion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.results import Table
from benchmarks.training import Facts, trained, training_table
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel

TARGET_ROWS: Final = 1_000_000
TARGET_SECONDS, TARGET_MB = 600, 6_000
ROWS_EACH: Final = 14.32
"""Of a generated customer in 17 months, on average."""
TELL: Final = "train_ver2.csv"


def run(rows: Sequence[int], scratch: Path, *, note: Callable[[str], None]) -> dict[str, Any]:
    """One training for each number of rows, each in a state folder of its own; ready for JSON. Generating is not
    counted.
    """
    points = []
    for count in sorted(rows):
        note(f"Generating about {count:,} rows")
        folder = generated(count, scratch)
        note(f"Training on {(folder / TELL).stat().st_size / 1e6:,.0f} MB of {TELL}")
        points.append(measure(folder, scratch / f"home-{count}"))
        note(f"  {points[-1]['seconds']:,.0f} s, at most {points[-1]['peak_mb']:,.0f} MB")
    return {"points": points}


def generated(rows: int, scratch: Path, seed: int = 1) -> Path:
    """A generated panel of about this many rows as its raw file, made once."""
    folder = scratch / f"panel-{rows}"
    if not (folder / "oracle.json").exists():
        generate_panel(PanelSpec(customers=round(rows / ROWS_EACH), seed=seed), folder, as_raw_csv=True)
    return folder


def measure(folder: Path, home: Path) -> dict[str, Any]:
    """Trains once, from the raw file to the champion."""

    def told(results: Facts) -> Facts:
        return {
            "rows": results["validate"]["rows_out"],
            "customers": results["validate"]["customers"],
            "megabytes": round((folder / TELL).stat().st_size / 1e6, 1),
            "map@7": results["evaluate"]["map@7"],
        }

    return trained("bank_products", folder, home, told)


def tables(found: dict[str, Any]) -> list[Table]:
    """One table: the whole training, then its steps."""
    points = found["points"]
    note = (
        f"`vitrina train bank_products` as a process of its own on generated files with the 48 columns of {TELL}, gate "
        f"included; generating is not counted. Target at {TARGET_ROWS:,} rows: {TARGET_SECONDS} s and {TARGET_MB:,} MB."
    )
    first = (("customers", "customers"), ("raw file, MB", "megabytes"))
    return [training_table(points, [f"{one['rows']:,} rows" for one in points], first, note)]
