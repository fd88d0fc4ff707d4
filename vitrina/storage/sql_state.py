"""The state in PostgreSQL, or in its embedded twin SQLite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from vitrina.storage.database import connected, one_at_a_time, open_engine
from vitrina.storage.schema import migrate, require_newest
from vitrina.storage.state import Overview, StepRun
from vitrina.storage.state_tables import step_runs
from vitrina.storage.step_rows import FIELDS, overview, step_run


class SqlState:
    """State over an engine whose database has the newest schema; see `State` for what the methods promise."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, uri: str) -> SqlState:
        """The state at a URI. A SQLite file is made and migrated; a PostgreSQL that is not migrated is a StateError."""
        engine = open_engine(uri)
        if engine.dialect.name == "sqlite":
            migrate(engine)
        else:
            require_newest(engine)
        return cls(engine)

    def begin_step(self, *, scenario: str, run_id: str, step: str, as_of: int | None, now: int) -> StepRun:
        named = {"scenario": scenario, "run_id": run_id, "step": step}
        same = [step_runs.c[name] == value for name, value in named.items()]
        with connected(self.engine) as connection:
            one_at_a_time(connection, "\n".join(named.values()))
            last = connection.execute(select(func.coalesce(func.max(step_runs.c.attempt), 0)).where(*same)).scalar_one()
            connection.execute(
                update(step_runs)
                .where(*same, step_runs.c.outcome == "running")
                .values(outcome="failed", ended=now, error=f"did not finish; attempt {last + 1} took its place")
            )
            row = {**named, "attempt": last + 1, "as_of": as_of, "begun": now, "outcome": "running"}
            return step_run(connection.execute(insert(step_runs).values(row).returning(*FIELDS)).one())

    def finish_step(self, started: StepRun, *, now: int, result: Mapping[str, Any]) -> StepRun:
        return self._end(started, ended=now, outcome="done", result=_storable(result), error=None)

    def fail_step(self, started: StepRun, *, now: int, error: str) -> StepRun:
        return self._end(started, ended=now, outcome="failed", result=None, error=_storable(error))

    def step_runs(self, scenario: str, *, run_id: str | None = None, limit: int = 100) -> list[StepRun]:
        query = select(*FIELDS).where(step_runs.c.scenario == scenario)
        if run_id is not None:
            query = query.where(step_runs.c.run_id == run_id)
        with connected(self.engine) as connection:
            return [step_run(row) for row in connection.execute(query.order_by(step_runs.c.id.desc()).limit(limit))]

    def overview(self) -> Overview:
        with connected(self.engine) as connection:
            return overview(connection)

    def _end(self, started: StepRun, **values: Any) -> StepRun:
        named = (step_runs.c[name] == getattr(started, name) for name in ("scenario", "run_id", "step", "attempt"))
        with connected(self.engine) as connection:
            changed = connection.execute(update(step_runs).where(*named).values(values).returning(*FIELDS))
            return step_run(changed.one())


def _storable(value: Any) -> Any:
    """The value as both databases take it: without numbers that JSON does not know and without NUL characters."""
    if isinstance(value, Mapping):
        return {_storable(name): _storable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.replace("\0", "�") if isinstance(value, str) else value
