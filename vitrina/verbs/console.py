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
PLAIN = {
    "int_parsing": "{value!r} is no whole number.",
    "float_parsing": "{value!r} is no number.",
    "greater_than_equal": "{value} is too small; the least is {ge}.",
    "less_than_equal": "{value} is too large; the most is {le}.",
}
"""Of pydantic's kinds of faults, those that an option's value can have."""
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


def in_plain_words(error: typer.TyperException) -> typer.TyperException:
    """The error itself; of a value that an option does not take it says what it takes, and no more of pydantic."""
    from pydantic import ValidationError

    if isinstance(error.__cause__, ValidationError):
        fault = error.__cause__.errors()[0]
        if text := PLAIN.get(fault["type"]):
            error.message = text.format(value=fault["input"], **fault.get("ctx", {}))
        error.message = error.message.removeprefix("Value error, ")
    return error


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
    """Recorded steps, a row an attempt, and below them the errors whole, however narrow the terminal is."""
    table = Table()
    for column in ("begun (UTC)", "run", "step"):
        table.add_column(column, overflow="fold")
    for column in ("attempt", "seconds", "outcome"):
        table.add_column(column, no_wrap=True)
    errors = []
    for run in runs:
        seconds = "" if run.ended is None else f"{(run.ended - run.begun) / 1000:.1f}"
        texts = (run.run_id, run.step, str(run.attempt), seconds, run.outcome)
        table.add_row(_utc(run.begun), *map(escape, texts))
        if run.error:
            errors.append(f"{run.run_id}, {run.step}, attempt {run.attempt}: {run.error}")
    console = Console(highlight=False)
    console.print(table)
    for error in errors:
        console.print(error, markup=False, soft_wrap=True)


def show_accounts(accounts: Iterable[Mapping[str, Any]], keys: Iterable[Mapping[str, Any]]) -> None:
    """Accounts, a row each, and below them their API keys."""
    table = Table("account", "full name", "email", "scopes", "created (UTC)", "")
    for one in accounts:
        texts = (one["name"], one["full_name"], one["email"], " ".join(one["scopes"]), _utc(one["created"]))
        table.add_row(*map(escape, texts), "disabled" if one["disabled"] else "")
    Console().print(table)
    table = Table("API key", "account", "label", "scopes", "created (UTC)", "expires (UTC)")
    for key in keys:
        expires = "" if key["expires"] is None else _utc(key["expires"])
        texts = (key["key_id"], key["account"], key["label"], " ".join(key["scopes"]), _utc(key["created"]))
        table.add_row(*map(escape, texts), expires)
    if table.row_count:
        Console().print(table)


def _utc(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")


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
    if answer.get("unknown"):
        say(f"the model does not know {', '.join(answer['unknown'])}")
    if not answer.get("known", True):
        say(f"user {answer['user_id']} is new to the model")
    Console().print(table)
