"""The choice of a fitting step, as its folder holds it and as later steps read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.errors import DataError
from vitrina.scenarios import Run
from vitrina.scenarios.choice import CHOICE, Choice
from vitrina.scenarios.prepared import Origin

HERE = Origin(fingerprint="f", as_of=7)


@pytest.fixture
def run(run_at: Callable[..., Run], tmp_path: Path) -> Run:
    return run_at(tmp_path / "home")


def written(run: Run, choice: Choice) -> Run:
    with run.objects.writing(run.key("models")) as folder:
        choice.write(folder, HERE)
    return run


def test_the_best_on_validation_is_chosen_and_of_equal_ones_the_first(run: Run) -> None:
    choice = Choice(validation={"worse": 0.1, "first": 0.2, "second": 0.2})
    assert Choice.read(written(run, choice), "models", HERE) == choice
    assert json.loads((run.local("models") / CHOICE).read_text()) == {
        "why": None,
        "chosen": "first",
        "validation": {"worse": 0.1, "first": 0.2, "second": 0.2},
        "made_of": {"fingerprint": "f", "as_of": 7},
    }


def test_where_nothing_was_fitted_it_says_why(run: Run) -> None:
    nothing = Choice(validation={}, why="too few baskets")
    assert nothing.as_json() == {"why": "too few baskets", "chosen": None, "validation": {}}
    read = Choice.read(written(run, nothing), "models", HERE)
    assert (read.chosen, read.why) == (None, "too few baskets")


def test_a_choice_among_models_of_other_data_is_refused(run: Run) -> None:
    written(run, Choice(validation={"one": 0.1}))
    with pytest.raises(DataError, match="the step `models` left was made of other prepared data"):
        Choice.read(run, "models", Origin(fingerprint="f", as_of=8))
