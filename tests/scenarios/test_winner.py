"""Which recipe is fitted anew after each outcome of the gate, and under which name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import DataError, ModelFormatError
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run
from vitrina.scenarios.winner import Winner, winner_of

BASELINES = {"popular": "all alike", "item_knn": "neighbours"}


@pytest.fixture
def run(run_at: Callable[..., Run], tmp_path: Path) -> Run:
    return run_at(tmp_path / "home")


def reign(run: Run, tmp_path: Path, **meta: Any) -> None:
    write_model(tmp_path / "model", arrays={"one": np.ones(1)}, files={}, meta={"metrics": {}, **meta})
    run.registry.promote(run.registry.register(tmp_path / "model", RunRecord(fingerprint="f")).version)


def read(document: dict[str, Any]) -> str:
    if "text" not in document:
        raise ModelFormatError("of another release")
    return str(document["text"])


def verdict(winner: str, candidate: str | None = "many trees", champion: str | None = "1") -> dict[str, Any]:
    return {"winner": winner, "candidate": candidate and {"text": candidate}, "champion": champion}


def found(run: Run, winner: str, **told: Any) -> Winner[str]:
    candidate = ("trees", "many trees")
    return winner_of(run, verdict(winner, **told), baselines=BASELINES, candidate=candidate, read=read)


def test_the_candidate_and_baselines_are_themselves(run: Run, tmp_path: Path) -> None:
    for reigns in (False, True):
        if reigns:
            reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
        assert found(run, "candidate") == Winner(name="trees", judged="candidate", recipe="many trees", promote=True)
        assert found(run, "popular") == Winner(name="popular", judged="popular", recipe="all alike", promote=True)


def test_a_champion_that_stays_is_fitted_anew_under_its_name(run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
    assert found(run, "champion") == Winner(name="lags", judged="champion", recipe="few trees", promote=True)
    assert run.facts["notes"] == ["the champion's recipe, lags, is fitted anew"]


@pytest.mark.parametrize("named", ["candidate", "champion", "popular", "item_knn"])
def test_force_puts_the_candidate_in_the_place_of_whomever_the_gate_names(named: str, run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
    passed = named == "candidate"
    forced = found(replace(run, force=True), named)
    assert forced == Winner(name="trees", judged="candidate", recipe="many trees", promote=passed)
    assert run.facts["notes"] == ([] if passed else [f"the gate names {named}: trees is registered on demand"])


def test_a_champion_is_left_as_it_is_where_nothing_can_be_fitted(run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
    told = verdict("champion", candidate=None)
    kept = winner_of(run, told, baselines=BASELINES, candidate=("popular", "all alike"), read=read, refit=False)
    assert kept == Winner(name="popular", judged="popular", recipe="all alike", promote=False)


def test_the_champion_that_was_judged_is_fitted_anew_whoever_reigns_by_now(run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
    reign(run, tmp_path, winner="no_lags", recipe={"text": "one tree"})
    for version, name, recipe in (("1", "lags", "few trees"), ("2", "no_lags", "one tree")):
        again = found(run, "champion", champion=version)
        assert again == Winner(name=name, judged="champion", recipe=recipe, promote=True)


@pytest.mark.parametrize("winner", ["candidate", "champion", "popular"])
def test_a_verdict_about_another_candidate_is_refused(winner: str, run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={"text": "few trees"})
    with pytest.raises(DataError, match=r"another recipe than trees.*again from `evaluate`"):
        found(run, winner, candidate="other trees")


def test_a_champion_of_another_release_cannot_be_fitted_anew(run: Run, tmp_path: Path) -> None:
    reign(run, tmp_path, winner="lags", recipe={})
    with pytest.raises(ModelFormatError, match=r"of another release.*--force"):
        found(run, "champion")
