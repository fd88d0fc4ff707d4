"""Time and memory of `vitrina train basket`, step by step, from a raw file of invoices to a champion: from the
compressed CSV file, and from the same as a workbook.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.basket.invoices import Invoices, as_workbook
from benchmarks.results import Table
from benchmarks.training import Facts, trained, training_table

TARGET_SECONDS: Final = 180


def run(source: Invoices, scratch: Path, *, note: Callable[[str], None]) -> dict[str, Any]:
    """One training from each kind of file, each in a state folder of its own; ready for JSON. Writing the workbook is
    not counted.
    """
    files = [source.path]
    if ".csv" in source.path.suffixes:
        note("Writing the workbook")
        files.append(as_workbook(source.path, scratch / "invoices.xlsx"))
    points = []
    for place, path in enumerate(files):
        note(f"Training on {path.stat().st_size / 1e6:,.1f} MB of {path.name}")
        points.append(measure(path, scratch / f"home-{place}"))
        note(f"  {points[-1]['seconds']:,.0f} s, at most {points[-1]['peak_mb']:,.0f} MB")
    return {"invoices": source.told, "points": points}


def measure(path: Path, home: Path) -> dict[str, Any]:
    """Trains once, from the raw file to the champion."""

    def told(results: Facts) -> Facts:
        return {
            "file": "".join(path.suffixes),
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "rows": results["validate"]["rows_in"],
            "baskets": results["validate"]["baskets"],
            "products": results["validate"]["items"],
        }

    return trained("basket", path, home, told)


def tables(found: dict[str, Any]) -> list[Table]:
    """One table: the whole training, then its steps."""
    points = found["points"]
    winners = ", ".join(dict.fromkeys(one["winner"] for one in points))
    note = (
        f"`vitrina train basket` as a process of its own on {found['invoices']}, gate and the refit on all invoices "
        f"included; the winner: {winners}. Writing the workbook is not counted. Target: {TARGET_SECONDS} s."
    )
    first = (("rows", "rows"), ("baskets", "baskets"), ("products", "products"), ("raw file, MB", "megabytes"))
    return [training_table(points, [one["file"] for one in points], first, note)]
