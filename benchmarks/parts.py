"""Benchmarks of several parts, each on its own: what one stores leaves the results of the others as they were."""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import machine, sentence
from benchmarks.results import Table, store

Note = Callable[[str], None]


class Part(NamedTuple):
    """`measure` gives what is stored, `tables` shows it."""

    measure: Callable[[Namespace, Path, Note], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[Table]]


@dataclass(frozen=True)
class InParts:
    """`name` is that of the files of results; `parts` stand there in their order."""

    name: str
    parts: Mapping[str, Part]

    def run(self, options: Namespace, note: Note, show: Callable[[Table], None]) -> None:
        """Measures the wanted parts, one after the other, and stores each as soon as it is there."""
        for name in options.part or self.parts:
            facts = machine(options.date)
            with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as scratch:
                found = {"machine": facts, **self.parts[name].measure(options, Path(scratch), note)}
            for table in self.keep(options.out, name, found):
                show(table)

    def keep(self, out: Path, name: str, found: dict[str, Any]) -> list[Table]:
        """Puts one part's results in the place of its earlier ones, and returns its tables."""
        path = out / f"{self.name}.json"
        document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        document |= {"machine": found["machine"], name: found}
        tables = {part: self.parts[part].tables(document[part]) for part in self.parts if part in document}
        pages = [table for part, some in tables.items() for table in _dated(some, document[part]["machine"])]
        store(out, self.name, document, pages)
        return tables[name]


def _dated(tables: list[Table], facts: dict[str, Any]) -> list[Table]:
    """Parts are measured on days of their own: the last table of each tells when."""
    last = tables[-1]
    return [*tables[:-1], replace(last, notes=(*last.notes, f"Measured {sentence(facts)}"))]
