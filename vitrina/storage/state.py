"""State by row: what happened, kept in a database. `State` is what every database offers; today, the runs of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

Outcome = Literal["running", "done", "failed"]
PROMOTED: Final = "promoted"
REFUSED: Final = "refused"


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """One attempt at a step. Times in ms since the epoch; `ended` is None while it runs, `attempt` counts from 1."""

    scenario: str
    run_id: str
    step: str
    attempt: int
    as_of: int | None
    begun: int
    ended: int | None
    outcome: Outcome
    result: Mapping[str, Any] | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class StepTally:
    """All attempts at one step: how many ended how, and when the last of them did (ms). The newest attempt is the one
    that began last; `newest` may still run, `newest_done` and `newest_ended` (done or failed) do not.
    """

    scenario: str
    step: str
    done: int
    failed: int
    last_done: int | None
    last_failed: int | None
    newest: StepRun
    newest_done: StepRun | None
    newest_ended: StepRun | None


@dataclass(frozen=True, kw_only=True)
class GateTally:
    """Decisions of one scenario's gate, as results told them: `{"gate": {"outcome": "promoted" | "refused"}}`.

    `refused_in_a_row` counts the runs that were refused after the last promotion.
    """

    scenario: str
    promoted: int
    refused: int
    refused_in_a_row: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Every step that ever began, by scenario and step, and every gate."""

    steps: tuple[StepTally, ...]
    gates: tuple[GateTally, ...]


class State(Protocol):
    """The state database. Every method raises StateError when the database cannot be used."""

    def begin_step(self, *, scenario: str, run_id: str, step: str, as_of: int | None, now: int) -> StepRun:
        """Records the next attempt as running; earlier attempts still recorded as running have failed by that."""

    def finish_step(self, started: StepRun, *, now: int, result: Mapping[str, Any]) -> StepRun:
        """Records that an attempt came to its end; numbers that are not finite are kept as null."""

    def fail_step(self, started: StepRun, *, now: int, error: str) -> StepRun:
        """Records that an attempt failed, and with what text."""

    def step_runs(self, scenario: str, *, run_id: str | None = None, limit: int = 100) -> list[StepRun]:
        """Attempts at a scenario's steps, the newest first; those of one run when `run_id` is given."""

    def overview(self) -> Overview:
        """All attempts of all scenarios at a glance; 0.1 s over 100,000 of them."""
