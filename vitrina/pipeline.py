"""The verbs over a scenario's steps: run one, run them all, and record how it went."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitrina.errors import VitrinaError
from vitrina.scenarios import Run, Scenario, Step
from vitrina.storage.state import State, StepRun

PATIENCE_SECONDS = 5.0
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Done:
    """One finished step: its JSON result and how long it took, in seconds."""

    step: str
    seconds: float
    result: dict[str, Any]


@dataclass(kw_only=True)
class Recorder:
    """Records steps under `run_id` in the state database that `open_state` opens; `clock` tells ms since the epoch.

    A database that cannot be used is told to `warn`. It never fails a step, and holds it up for a few seconds at most:
    a step that could not be recorded at its begin is tried once more at its end.
    """

    open_state: Callable[[], State]
    run_id: str
    clock: Callable[[], int]
    warn: Callable[[str], None]

    def run(self, step: Step, run: Run) -> dict[str, Any]:
        """The result of the step, recorded as done; its error, recorded as failed, is raised."""
        begun = self.clock()

        def begin(state: State) -> StepRun:
            return state.begin_step(
                scenario=run.scenario, run_id=self.run_id, step=step.name, as_of=run.as_of, now=begun
            )

        def end(act: Callable[[State, StepRun], StepRun]) -> None:
            patience = PATIENCE_SECONDS if started else 0.0
            self._record(step, lambda state: act(state, started or begin(state)), patience)

        started = self._record(step, begin, 0.0)
        try:
            result = step(run)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            end(lambda state, attempt: state.fail_step(attempt, now=self.clock(), error=text))
            raise
        end(lambda state, attempt: state.finish_step(attempt, now=self.clock(), result=result))
        return result

    def _record(self, step: Step, act: Callable[[State], StepRun], patience: float) -> StepRun | None:
        deadline = time.monotonic() + patience
        while True:
            try:
                return act(self.open_state())
            except VitrinaError as error:
                if time.monotonic() >= deadline:
                    self.warn(f"warning: {step.name} of run {self.run_id} is not recorded. {error}")
                    return None
            time.sleep(PAUSE_SECONDS)


@contextmanager
def alone(home: Path, scenario: str, *, said: Callable[[str], None]) -> Iterator[None]:
    """Holds the scenario's steps in the state folder `home`: one training at a time over all processes of the machine,
    since each reads what the step before left. Who comes second is told and waits; a kill releases it."""
    with (home / f".{scenario}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said(f"Another training of {scenario} runs in {home}; this one begins when it has ended. Ctrl-C gives up")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_step(step: Step, run: Run, recorder: Recorder | None = None) -> Done:
    """Runs one step; its outputs replace those of an earlier run, whole or not at all."""
    begun = time.perf_counter()
    result = recorder.run(step, run) if recorder else step(run)
    return Done(step=step.name, seconds=time.perf_counter() - begun, result=result)


def train(
    scenario: Scenario,
    run: Run,
    *,
    started: Callable[[Step], None] = lambda _: None,
    finished: Callable[[Done], None] = lambda _: None,
    recorder: Recorder | None = None,
    around: Callable[[Step], AbstractContextManager[object]] = nullcontext,
) -> list[Done]:
    """Runs every step in its order, each inside `around`; the first error ends it, and what was served before stays. A
    registry that cannot be asked is told before the long steps, not after them."""
    run.registry.champion()
    done = []
    for step in scenario.steps:
        with around(step):
            started(step)
            done.append(run_step(step, run, recorder))
            finished(done[-1])
    return done
