"""What a person sees while long work runs: a line per step, notes, and a bar, all on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Reporter:
    """A context manager; `quiet` shows nothing. Bars appear on terminals only, notes everywhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
            disable=quiet,
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
        self._step = self._progress.add_task(f"[bold]{what}[/bold]", total=None)

    def note(self, line: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._progress.console.print(f"  {line}", markup=False)

    def progress(self, what: str, done: int, of: int) -> None:
        """Moves the bar `what` to `done` of `of`."""
        bar = self._bars.get(what)
        if bar is None:
            bar = self._bars[what] = self._progress.add_task(f"  {what}", total=of)
        self._progress.update(bar, completed=done, total=of)

    def end(self, line: str) -> None:
        """The step is over; its bars go, `line` stays."""
        for bar in [*self._bars.values(), *([self._step] if self._step is not None else [])]:
            self._progress.remove_task(bar)
        self._bars.clear()
        self._step = None
        if not self._quiet:
            self._progress.console.print(line, markup=False)
