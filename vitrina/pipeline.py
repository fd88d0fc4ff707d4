"""The verbs over a scenario's steps: run one, run them all, move the champion."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vitrina.scenarios import Run, Scenario, Step


@dataclass(frozen=True, kw_only=True)
class Done:
    """One finished step: its JSON result and how long it took, in seconds."""

    step: str
    seconds: float
    result: dict[str, Any]


def run_step(step: Step, run: Run) -> Done:
    """Runs one step; its outputs replace those of an earlier run, whole or not at all."""
    begun = time.perf_counter()
    result = step(run)
    return Done(step=step.name, seconds=time.perf_counter() - begun, result=result)


def train(
    scenario: Scenario,
    run: Run,
    *,
    started: Callable[[Step], None] = lambda _: None,
    finished: Callable[[Done], None] = lambda _: None,
) -> list[Done]:
    """Runs every step in its order; the first error ends it, and what was served before stays."""
    done = []
    for step in scenario.steps:
        started(step)
        done.append(run_step(step, run))
        finished(done[-1])
    return done
