"""The parts of the basket's benchmark."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from benchmarks.basket import quality, serving, training
from benchmarks.basket.invoices import invoices
from benchmarks.basket.quality_tables import tables as quality_tables
from benchmarks.parts import InParts, Note, Part


def _training(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    return training.run(invoices(options.data, scratch), scratch, note=note)


def _quality(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    return quality.run(*invoices(options.data), note=note)


def _serving(options: Namespace, scratch: Path, note: Note) -> dict[str, Any]:
    home, source = options.home or scratch / "home", invoices(options.data, scratch)
    return serving.run(home, source, scratch, seconds=options.seconds, rounds=options.rounds, note=note)


BASKET: Final = InParts(
    "basket",
    {
        "training": Part(_training, training.tables),
        "serving": Part(_serving, serving.tables),
        "quality": Part(_quality, quality_tables),  # the last, as it ends with an error where the real file is not
    },
)
