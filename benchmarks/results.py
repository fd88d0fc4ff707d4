"""Tables that are printed, and stored as JSON and Markdown under `benchmarks/results`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.machine import sentence


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells are texts; the first column names the row. `notes` are sentences that stand under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table as a section of a Markdown page."""
        lines = [f"## {self.title}", "", _line(self.columns), _line(["---"] + ["---:"] * (len(self.columns) - 1))]
        lines += [_line(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])

    def show(self, console: Console) -> None:
        """Prints the table."""
        drawn = RichTable(title=self.title, title_justify="left")
        for place, column in enumerate(self.columns):
            drawn.add_column(column, justify="right" if place else "left")
        for row in self.rows:
            drawn.add_row(*row)
        console.print(drawn)
        for note in self.notes:
            console.print(note, highlight=False)


def store(out: Path, name: str, document: dict[str, Any], tables: Sequence[Table]) -> None:
    """Writes `<out>/<name>.json` and `<out>/<name>.md`; `document["machine"]` holds the facts of the machine."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = [
        f"# {name.capitalize()}",
        "",
        f"Written by `python -m benchmarks {name}`. {sentence(document['machine'])}",
        "",
    ]
    page += [table.markdown() for table in tables]
    (out / f"{name}.md").write_text("\n".join(page).rstrip() + "\n", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
