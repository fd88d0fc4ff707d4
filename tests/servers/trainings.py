"""Trainings in a test: what the steps said, and the model that was registered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vitrina.pipeline import train
from vitrina.registry.model_format import StoredModel, read_model
from vitrina.scenarios import Run, scenario

Results = dict[str, dict[str, Any]]


def results(run: Run, first: str = "extract") -> Results:
    """Runs the scenario's steps from `first` on; what each said, by its name."""
    declared = scenario(run.scenario)
    names = [step.name for step in declared.steps]
    steps = declared.steps[names.index(first) :]
    return {done.step: done.result for done in train(replace(declared, steps=steps), run)}


def fetched(run: Run, folder: Path, version: str = "1") -> Path:
    """The registered model's folder, below `folder`."""
    run.registry.fetch(version, folder / f"version-{version}")
    return folder / f"version-{version}"


def model_of(run: Run, folder: Path, version: str = "1") -> StoredModel:
    """The registered model, read."""
    return read_model(fetched(run, folder, version))
