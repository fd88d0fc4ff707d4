"""The parts of the bank's benchmark."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from benchmarks.bank import quality, serving, training
from benchmarks.bank.quality_tables import tables as quality_tables
from benchmarks.parts import InParts, Note, Part


def _training(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    return training.run(options.rows, scratch, note=note)


def _quality(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    return quality.run(options.customers, range(1, options.worlds + 1), options.data, note=note)


def _serving(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    home = options.home or scratch / "home"
    return serving.run(home, scratch, seconds=options.seconds, rounds=options.rounds, note=note)


BANK: Final = InParts(
    "bank",
    {
        "training": Part(_training, training.tables),
        "quality": Part(_quality, quality_tables),
        "serving": Part(_serving, serving.tables),
    },
)
