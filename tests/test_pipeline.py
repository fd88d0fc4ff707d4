"""The verbs over steps: their order, what they report, and that the first error ends a run."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE

from vitrina.errors import DataError, RegistryError
from vitrina.pipeline import alone, run_step, train
from vitrina.registry.file_registry import FileRegistry
from vitrina.scenarios import Run, Scenario, Step
from vitrina.storage.objects import FolderObjects

MODULE = "planted_steps"
SOURCE = """
from vitrina.errors import DataError

def one(run):
    run.objects.put_bytes(run.key("one"), b"1")
    return {"made": "one"}

def two(run):
    run.note("two was here")
    return {"read": run.objects.get_bytes(run.key("one")).decode()}

def broken(run):
    raise DataError("nothing fits", where="planted", remedy="Plant better.")
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    notes: list[str] = []
    return Run(
        scenario="planted",
        objects=FolderObjects(tmp_path / "objects"),
        registry=FileRegistry(tmp_path / "registry"),
        now=0,
        note=notes.append,
        facts={"notes": notes},
    )


def planted(*functions: str) -> Scenario:
    steps = tuple(Step(name=f"s-{name}", inputs=(), outputs=(), function=f"{MODULE}:{name}") for name in functions)
    return Scenario(name="planted", question="?", steps=steps, experiment="e", registered_model="m")


def test_steps_run_in_their_order_and_report(run: Run) -> None:
    seen: list[Any] = []
    done = train(
        planted("one", "two"),
        run,
        started=lambda step: seen.append(step.name),
        finished=lambda one: seen.append(one.result),
    )
    assert seen == ["s-one", {"made": "one"}, "s-two", {"read": "1"}]
    assert [one.step for one in done] == ["s-one", "s-two"]
    assert all(one.seconds >= 0 for one in done)
    assert run.facts["notes"] == ["two was here"]


def test_the_first_error_ends_the_run(run: Run) -> None:
    finished: list[str] = []
    with pytest.raises(DataError, match="Plant better"):
        train(planted("one", "broken", "two"), run, finished=lambda one: finished.append(one.step))
    assert finished == ["s-one"]
    assert run.facts["notes"] == []


def test_a_step_reads_what_an_earlier_run_left(run: Run) -> None:
    run_step(planted("one").steps[0], run)
    assert run_step(planted("two").steps[0], run).result == {"read": "1"}


def test_objects_of_a_scenario_lie_under_its_name(run: Run) -> None:
    assert run.key("lists") == "planted/lists"
    with pytest.raises(DataError, match="planted/lists"):
        run.local("lists")


def test_a_registry_that_cannot_be_asked_is_told_before_the_first_step(run: Run) -> None:
    class Down:
        def champion(self) -> None:
            raise RegistryError("nobody answers")

    with pytest.raises(RegistryError, match="nobody answers"):
        train(planted("one"), replace(run, registry=Down()))  # type: ignore[arg-type]  # the rest is never asked
    assert not run.objects.exists(run.key("one"))


def test_a_second_training_of_a_scenario_waits_and_another_scenario_does_not(tmp_path: Path) -> None:
    heard: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with alone(tmp_path, "basket", said=lambda text: (heard.append(text), waiting.set())):
            order.append("second")

    thread = threading.Thread(target=second)
    with alone(tmp_path, "basket", said=heard.append):
        thread.start()
        assert waiting.wait(PATIENCE)
        with alone(tmp_path, "storefront", said=heard.append):
            order.append("other")
        order.append("first")
    thread.join(PATIENCE)
    assert order == ["other", "first", "second"]
    assert len(heard) == 1 and "Another training of basket" in heard[0]
