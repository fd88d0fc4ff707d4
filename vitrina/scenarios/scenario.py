"""What a scenario declares: named steps with their inputs and outputs, and where their functions are. Imports nothing
heavy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrina.errors import ConfigError

if TYPE_CHECKING:
    from vitrina.registry.registry import Registry
    from vitrina.storage.objects import Objects
    from vitrina.storage.s3_bucket import S3Access


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pass through a scenario's steps.

    `objects` holds what steps hand on, under `<scenario>/...`; `registry` the models. `data` and `columns` say what to
    read (as the CLI takes them), `as_of` (ms) ends the log earlier, `now` (ms) is the wall clock at the start, `tune`
    asks for a search of the hyper-parameters with that many trials, `force` promotes whatever the gate says. `note`
    hears lines for people; `progress` (what, done, of) feeds a bar. `access` opens raw events in S3, of which `cache`
    (a local folder) keeps what was fetched. `run_id` is the name that the caller knows this pass by.
    """

    scenario: str
    objects: Objects
    registry: Registry
    now: int
    data: str | None = None
    columns: str | None = None
    as_of: int | None = None
    tune: int = 0
    force: bool = False
    threads: int = 2
    memory: str = "2500MB"
    note: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int, int], None] = lambda what, done, of: None
    facts: dict[str, Any] = field(default_factory=dict)
    access: S3Access | None = None
    cache: Path | None = None
    run_id: str | None = None

    def key(self, name: str) -> str:
        """The object key of one of the scenario's objects."""
        return f"{self.scenario}/{name}"

    def local(self, name: str) -> Path:
        """The local folder of one of the scenario's objects."""
        return self.objects.local(self.key(name))

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Gives the path of a folder to make; when the block succeeds, what is in it replaces the object."""
        with self.objects.writing(self.key(name)) as out:
            room = out / ".room"  # whoever builds a folder locks the one above, and `out` is locked already
            room.mkdir()
            made = room / "made"
            yield made
            for path in list(made.iterdir()):
                path.rename(out / path.name)
            made.rmdir()
            room.rmdir()


@dataclass(frozen=True, kw_only=True)
class Step:
    """`function` is "module:name", called with the Run and returning a small JSON result; inputs and outputs are object
    names."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: str

    def __call__(self, run: Run) -> dict[str, Any]:
        module, _, name = self.function.partition(":")
        result: dict[str, Any] = getattr(importlib.import_module(module), name)(run)
        return result


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`experiment` and `registered_model` are its default names in MLflow."""

    name: str
    question: str
    steps: tuple[Step, ...]
    experiment: str
    registered_model: str

    def step(self, name: str) -> Step:
        """One step by name; `ConfigError` for an unknown one."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigError(f"{self.name} has no step {name!r}. Its steps are: {', '.join(s.name for s in self.steps)}")
