"""What a scenario declares: named steps with their inputs and outputs, and where their functions are. Imports nothing
heavy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrina.errors import ConfigError

if TYPE_CHECKING:
    from vitrina.events.raw_files import RawData
    from vitrina.registry.registry import Registry
    from vitrina.storage.objects import Objects
    from vitrina.storage.s3_bucket import S3Access

Setting = Literal["EVENTS_URI", "EXPERIMENT", "REGISTERED_MODEL"]
"""Environment variables that every scenario has, without its prefix."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pass through a scenario's steps.

    `objects` holds what steps hand on, under `<scenario>/...`; `registry` the models. `data` and `columns` say what to
    read (as the CLI takes them), `as_of` (ms) ends the log earlier, `now` (ms) is the wall clock at the start, `tune`
    asks for a search of the hyper-parameters with that many trials, `force` promotes whatever the gate says,
    `challenger` leaves the promotion to whoever asks for it later. `note` hears lines for people; `progress` (what,
    done, of) feeds a bar. `access` opens raw events in S3, of which `cache` (a local folder) keeps what was fetched.
    `run_id` is the name that the caller knows this pass by, `recipe` one of the scenario's recipes (None: the first).
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
    challenger: bool = False
    threads: int = 2
    memory: str = "2500MB"
    note: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int, int], None] = lambda what, done, of: None
    facts: dict[str, Any] = field(default_factory=dict)
    access: S3Access | None = None
    cache: Path | None = None
    run_id: str | None = None
    recipe: str | None = None

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
        result: dict[str, Any] = _named(self.function)(run)
        return result


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`experiment` and `registered_model` are its default names in MLflow, where the code file `pyfunc` (in
    vitrina/registry) loads its models. Environment variables of this scenario alone begin with `settings_prefix`.
    `recipes` are named configurations, the default first. `raw_data` is "module:name" of what opens the place where its
    raw data lies, a `RawData`. `verbs` are the functions ("module:name", called with the Run and what the verb takes)
    behind those verbs of the command line that not every scenario has: `recommend`, `batch`, `holdout`; `instead` says
    where to go for the others.
    """

    name: str
    question: str
    steps: tuple[Step, ...]
    experiment: str
    registered_model: str
    settings_prefix: str = "VITRINA_"
    pyfunc: str = "pyfunc_code.py"
    recipes: tuple[str, ...] = ()
    raw_data: str = "vitrina.events.raw_events:open_raw_events"
    verbs: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""

    def step(self, name: str) -> Step:
        """One step by name; `ConfigError` for an unknown one."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigError(f"{self.name} has no step {name!r}. Its steps are: {', '.join(s.name for s in self.steps)}")

    def verb(self, name: str) -> Callable[..., dict[str, Any]]:
        """The function behind one of `verbs`; `ConfigError` for one that this scenario does not have."""
        if name not in self.verbs:
            raise ConfigError(f"{self.name} has no `{name}`. {self.instead}".rstrip())
        return _named(self.verbs[name])

    def known_recipe(self, name: str | None) -> str | None:
        """The same name; `ConfigError` when it is none of `recipes`."""
        if name is None or name in self.recipes:
            return name
        if not self.recipes:
            raise ConfigError(f"{self.name} has no named recipes. Leave --recipe out")
        raise ConfigError(f"{self.name} has no recipe {name!r}. Its recipes are: {', '.join(self.recipes)}")

    def setting(self, name: Setting, environment: Mapping[str, str]) -> str | None:
        """A setting of this scenario alone, None when it is unset or empty."""
        return environment.get(self.settings_prefix + name) or None

    def open_raw_data(self, place: str, access: S3Access | None) -> RawData:
        """Where its raw data lies: a folder or an `s3://` address."""
        opened: RawData = _named(self.raw_data)(place, access=access)
        return opened


def _named(path: str) -> Callable[..., Any]:
    """What "module:name" leads to."""
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
