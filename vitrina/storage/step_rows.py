"""Reading the table `step_runs`: a row as a `StepRun`, and all rows at a glance.

The counts are one aggregate over the narrow columns; results, some of them of 50 kB, are read of the newest attempts
alone, and of the steps with a gate for its decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from vitrina.storage.state import PROMOTED, REFUSED, GateTally, Overview, StepRun, StepTally
from vitrina.storage.state_tables import step_runs

FIELDS = [column for column in step_runs.columns if column.name != "id"]
_NAMES = [column.name for column in FIELDS]


def step_run(row: Iterable[Any]) -> StepRun:
    """The attempt in a row of `FIELDS`."""
    return StepRun(**dict(zip(_NAMES, row, strict=True)))


def overview(connection: Connection) -> Overview:
    """What the table holds now."""
    steps = tuple(_steps(connection))
    return Overview(steps=steps, gates=tuple(_gates(connection, steps)))


def _steps(connection: Connection) -> Iterator[StepTally]:
    t = step_runs.c
    groups = connection.execute(
        select(t.scenario, t.step, t.outcome, func.count(), func.max(t.ended), func.max(t.id))
        .group_by(t.scenario, t.step, t.outcome)
        .order_by(t.scenario, t.step)
    ).all()
    newest = connection.execute(select(t.id, *FIELDS).where(t.id.in_([number for *_, number in groups])))
    runs = {number: step_run(values) for number, *values in newest}
    steps: dict[tuple[str, str], dict[str, tuple[int, int | None, int]]] = {}
    for scenario, step, outcome, count, ended, number in groups:
        if number in runs:  # else it was deleted between the two statements
            steps.setdefault((scenario, step), {})[outcome] = (count, ended, number)
    for (scenario, step), of in steps.items():
        done, failed = of.get("done", (0, None, 0)), of.get("failed", (0, None, 0))
        yield StepTally(
            scenario=scenario,
            step=step,
            done=done[0],
            failed=failed[0],
            last_done=done[1],
            last_failed=failed[1],
            newest=runs[max(number for *_, number in of.values())],
            newest_done=runs.get(done[2]),
            newest_ended=runs.get(max(done[2], failed[2])),
        )


def _gates(connection: Connection, steps: tuple[StepTally, ...]) -> Iterator[GateTally]:
    """Of steps whose newest result has a gate; older results without one are passed over."""
    t = step_runs.c
    decision = t.result["gate", "outcome"].as_string()
    gated: dict[str, list[str]] = {}
    for one in steps:
        if (
            one.newest_done is not None
            and isinstance(one.newest_done.result, dict)
            and "gate" in one.newest_done.result
        ):
            gated.setdefault(one.scenario, []).append(one.step)
    for scenario, names in gated.items():
        decided = (t.scenario == scenario, t.step.in_(names), t.outcome == "done", decision.in_([PROMOTED, REFUSED]))
        counted = select(decision.label("decision"), func.count(), func.max(t.id)).where(*decided).group_by("decision")
        found = {outcome: (count, last) for outcome, count, last in connection.execute(counted)}
        promoted, last_promoted = found.get(PROMOTED, (0, 0))
        since = select(func.count(t.run_id.distinct())).where(*decided, t.id > last_promoted)
        yield GateTally(
            scenario=scenario,
            promoted=promoted,
            refused=found.get(REFUSED, (0, 0))[0],
            refused_in_a_row=connection.execute(since).scalar_one(),
        )
