"""A scenario of two quick steps that do as they are told: a file named like the step says what should happen to it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from vitrina.scenarios.scenario import Run, Scenario, Step

SCENARIO = Scenario(
    name="planted",
    question="Does the pipeline do what it says?",
    experiment="planted",
    registered_model="planted_model",
    steps=(
        Step(name="first", inputs=(), outputs=("first.json",), function="planted_scenario:first"),
        Step(name="second", inputs=("first.json",), outputs=(), function="planted_scenario:second"),
    ),
)


def first(run: Run) -> dict[str, Any]:
    """Writes an object that says when the run's time ends."""
    _obey(run, "first")
    run.objects.put_bytes(run.key("first.json"), str(run.as_of).encode())
    return {"as_of": run.as_of, "tune": run.tune, "force": run.force, "challenger": run.challenger}


def second(run: Run) -> dict[str, Any]:
    """Reads it."""
    asked = _obey(run, "second")
    read = int(run.objects.get_bytes(run.key("first.json")))
    found: dict[str, Any] = {"read": read, "same": read == run.as_of}
    return found | {"ndcg@10": {"nonsense": "no number"}} if asked == "nonsense" else found


def _obey(run: Run, step: str) -> str:
    """Does what is asked, or gives it back."""
    from vitrina.errors import DataError, RegistryError

    order = Path(os.environ["PLANTED_ORDERS"]) / step
    asked = order.read_text() if order.exists() else ""
    if asked == "fail":
        raise RegistryError("the registry <is> out of reach & says so")
    if asked == "bad input":
        raise DataError("row 7 has no user", where="events.csv", remedy="Correct it")
    while asked == "wait" and order.exists():
        run.note(f"{step} still waits")
        time.sleep(0.2)
    return asked
