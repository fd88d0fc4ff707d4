"""From a verdict to the champion: who is promoted, who waits, and who waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import RegistryError
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run
from vitrina.scenarios.publication import promote, register_once
from vitrina.scenarios.winner import Winner


@pytest.fixture
def run(run_at: Callable[..., Run], tmp_path: Path) -> Run:
    return run_at(tmp_path / "home")


def registered(run: Run, number: int, passed: bool, against: str | None = None, **meta: Any) -> dict[str, Any]:
    """A model that was judged against the present champion, or the one named."""
    folder = run.objects.root / f"made-{number}"  # type: ignore[attr-defined]
    write_model(folder, arrays={"number": np.full(2, number)}, files={}, meta={"metrics": {}, **meta})
    winner = Winner(name="lags", judged="candidate", recipe=number, promote=passed)
    champion = run.registry.champion()
    verdict = {"champion": against or (champion and champion.version)}
    return register_once(run, folder, RunRecord(fingerprint="f"), winner, verdict)


def names(run: Run) -> dict[str, str]:
    return {alias: one.version for one in run.registry.versions() for alias in one.aliases}


def test_what_the_gate_lets_pass_is_promoted_or_waits(run: Run) -> None:
    registered(run, 1, passed=True)
    assert promote(run) == {"promoted": True, "champion": "1", "before": None}
    registered(run, 2, passed=True)
    waiting = replace(run, challenger=True)
    assert promote(waiting) == {"promoted": False, "challenger": "2", "champion": "1"}
    assert names(run) == {"challenger": "2", "champion": "1"}
    assert run.facts["notes"][-1] == "Version 2 is the challenger. Promote it: vitrina promote storefront"
    run.registry.promote()
    assert names(run) == {"champion": "2", "previous": "1"}


def test_what_is_not_to_be_promoted_waits_for_nothing_unless_it_is_forced(run: Run) -> None:
    registered(run, 1, passed=True)
    promote(run)
    registered(run, 2, passed=True)
    waiting = replace(run, challenger=True)
    promote(waiting)
    registered(run, 3, passed=False)
    assert promote(waiting) == {"promoted": False, "champion": "1"}
    with pytest.raises(RegistryError, match="no challenger"):
        run.registry.promote()
    assert promote(replace(waiting, force=True)) == {"promoted": False, "challenger": "3", "champion": "1"}
    assert promote(replace(run, force=True)) == {"promoted": True, "champion": "3", "before": "1"}
    assert names(run) == {"champion": "3", "previous": "1"}


def test_the_champions_own_model_made_again_can_be_promoted_and_changes_nothing(run: Run) -> None:
    registered(run, 1, passed=True)
    promote(run)
    assert registered(run, 1, passed=True)["version"] == "1"
    assert promote(replace(run, challenger=True)) == {"promoted": False, "challenger": "1", "champion": "1"}
    assert run.registry.promote().version == "1"
    assert names(run) == {"champion": "1"}


@pytest.mark.parametrize("key", ["as_of", "as_of_month"])
def test_a_model_of_older_data_waits_for_whoever_asks_for_it(key: str, run: Run) -> None:
    registered(run, 1, passed=True, **{key: 20})
    promote(run)
    registered(run, 2, passed=True, **{key: 10})
    assert promote(run) == {"promoted": False, "challenger": "2", "champion": "1"}
    assert run.facts["notes"][-2] == "Version 2 is not promoted: the champion, version 1, has learned from newer data"
    assert names(run) == {"challenger": "2", "champion": "1"}
    assert run.registry.promote().version == "2"
    assert run.registry.rollback().version == "1"
    assert promote(replace(run, force=True)) == {"promoted": True, "champion": "2", "before": "1"}


@pytest.mark.parametrize("dated", [False, True])
def test_where_the_data_end_alike_or_are_not_dated_nothing_waits(dated: bool, run: Run) -> None:
    for number, end in ((1, 20), (2, 20 if dated else 10)):
        registered(run, number, passed=True, as_of=end, dated=dated)
        assert promote(run)["champion"] == str(number)


def test_a_model_that_was_not_judged_against_the_champion_waits(run: Run) -> None:
    for number in (1, 2):
        registered(run, number, passed=True)
        promote(run)
    registered(run, 3, passed=True)
    assert run.registry.rollback().version == "1"
    assert promote(run) == {"promoted": False, "challenger": "3", "champion": "1"}
    why = "Version 3 is not promoted: version 1 is the champion, and it was judged against version 2"
    assert run.facts["notes"][-2] == why
    assert promote(replace(run, force=True)) == {"promoted": True, "champion": "3", "before": "1"}
    assert promote(run) == {"promoted": True, "champion": "3", "before": "3"}
