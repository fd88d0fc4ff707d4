"""What a person sees: while long work runs, a line per step, notes and a bar on standard error; then the result.

Where log lines are JSON, steps and notes are log lines, too, and there are no bars.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from vitrina.scenarios.scenario import Step
from vitrina.storage.state import StepRun
from vitrina.telemetry.logs import json_lines

LEVELS = {"red": logging.ERROR, "yellow": logging.WARNING}
log = logging.getLogger(__name__)


class Reporter:
    """A context manager; `quiet` shows nothing. Bars appear on terminals only, notes everywhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lines = json_lines()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
            disable=quiet or self._lines,
        )
        self._step: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, what: str) -> None:
        """A step starts."""
        if self._lines and not self._quiet:
            log.info("%s begins", what)
        self._step = self._progress.add_task(f"[bold]{escape(what)}[/bold]", total=None)

    def note(self, line: str) -> None:
        """A line that stays."""
        self._tell(line, indent="  ")

    def progress(self, what: str, done: int, of: int) -> None:
        """Moves the bar `what` to `done` of `of`."""
        bar = self._bars.get(what)
        if bar is None:
            bar = self._bars[what] = self._progress.add_task(f"  {escape(what)}", total=of)
        self._progress.update(bar, completed=done, total=of)

    def end(self, line: str) -> None:
        """The step is over; its bars go, `line` stays."""
        for bar in [*self._bars.values(), *([self._step] if self._step is not None else [])]:
            self._progress.remove_task(bar)
        self._bars.clear()
        self._step = None
        self._tell(line)

    def _tell(self, line: str, *, indent: str = "") -> None:
        if self._quiet:
            return
        if self._lines:
            log.info("%s", line)
        else:
            self._progress.console.print(f"{indent}{line}", markup=False, soft_wrap=True)


def say(line: str, *, style: str | None = None) -> None:
    """One line on standard error; its style tells how bad it is."""
    if json_lines():
        log.log(LEVELS.get(style or "", logging.INFO), "%s", line.strip())
        return
    Console(stderr=True, highlight=False).print(line, style=style, markup=False, soft_wrap=True)


def warn(line: str) -> None:
    """A line that should be looked at, on standard error."""
    say(line, style="yellow")


def show_usage(error: typer.TyperException) -> None:
    """What is wrong with the arguments, and how they are given."""
    if json_lines():
        say(f"error: {error.format_message()}", style="red")
    else:
        error.show()  # type: ignore[attr-defined]  # whatever typer raises on usage can show itself


def show_json(result: Mapping[str, Any], *, plain: bool) -> None:
    """A JSON document on standard output: in one line for machines (`plain`), else in colours."""
    text = json.dumps(result, ensure_ascii=False)
    if plain:
        print(text)
    else:
        Console().print_json(text)


def show_text(text: str) -> None:
    """A text as it is, on standard output."""
    print(text.rstrip())


def show_steps(steps: Iterable[Step]) -> None:
    """The steps of a scenario with what they read and write."""
    table = Table("step", "reads", "writes")
    for step in steps:
        table.add_row(step.name, ", ".join(step.inputs), ", ".join(step.outputs))
    Console().print(table)


def show_runs(runs: Iterable[StepRun]) -> None:
    """Recorded steps: a row an attempt."""
    table = Table("begun (UTC)", "run", "step", "attempt", "seconds", "outcome", "error")
    for run in runs:
        begun = datetime.fromtimestamp(run.begun / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
        seconds = "" if run.ended is None else f"{(run.ended - run.begun) / 1000:.1f}"
        texts = (run.run_id, run.step, str(run.attempt), seconds, run.outcome, run.error or "")
        table.add_row(begun, *map(escape, texts))
    Console().print(table)


def show_recommendations(answer: Mapping[str, Any]) -> None:
    """The answer for one user: a row an item, with its title when the model knows titles."""
    table = Table(caption=f"model version {answer['model_version']}", caption_justify="left")
    titles = answer.get("titles")
    for column in ("rank", "item", *(("title",) if titles else ()), "score", "source"):
        table.add_column(column, justify="right" if column in ("rank", "score") else "left")
    for place, (item, score, source) in enumerate(
        zip(answer["recs"], answer["scores"], answer["sources"], strict=True)
    ):
        title = (escape(titles[place]),) if titles else ()
        table.add_row(str(place + 1), escape(str(item)), *title, f"{score:.4f}", source)
    if not answer["known"]:
        say(f"user {answer['user_id']} is new to the model")
    Console().print(table)
