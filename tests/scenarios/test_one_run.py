"""Trainings of the bank and of carts that come in between each other: what one registers is of its own data, and what
was not judged against the champion, or is older, does not replace it unasked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vitrina.errors import DataError
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.pipeline import run_step
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.registry.model_format import StoredModel, read_model
from vitrina.scenarios import Run, Scenario, bank_products, bank_recipes, basket, basket_recipes
from vitrina.scenarios.bank_recipes import Recipe as BankRecipe
from vitrina.scenarios.basket_recipes import KNOWN

Told = dict[str, dict[str, Any]]

PANEL = PanelSpec(customers=400, months=6, seed=1)
SALES = BasketSpec(baskets=900, products=60, customers=80, months=6, seed=3)


@dataclass(frozen=True, kw_only=True)
class Two:
    """A scenario up to `evaluate` on one validated data set, and another one that lies in the folder `other`; `earlier`
    ends both one month earlier. `fitting` is the step whose output is judged, `baseline` one of the baselines."""

    scenario: Scenario
    run: Run
    other: Path
    earlier: int
    fitting: str
    baseline: str

    def steps(self, first: str, last: str, run: Run | None = None) -> Told:
        names = [step.name for step in self.scenario.steps]
        asked = self.scenario.steps[names.index(first) : names.index(last) + 1]
        return {step.name: run_step(step, run or self.run).result for step in asked}

    def prepare_other(self) -> None:
        self.run.objects.put_folder(self.run.key("validated"), self.other)
        self.steps("prepare", "prepare")

    def decide(self, winner: str) -> None:
        path = self.run.local("evaluation") / "verdict.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "winner": winner}))

    def versions(self) -> list[str]:
        return [one.version for one in self.run.registry.versions()]

    def model_of(self, version: str, folder: Path) -> StoredModel:
        self.run.registry.fetch(version, folder / version)
        return read_model(folder / version)


@pytest.fixture(scope="module", autouse=True)
def _small_recipes() -> Iterator[None]:
    lags = BankRecipe.of(ProductPropensity(iterations=20, at_least=100))
    no_lags = BankRecipe.of(ProductPropensity(iterations=20, at_least=100, lags=False))
    few = {"best": {"ease": KNOWN["ease"]}, "lift": {"lift": KNOWN["lift"]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_recipes, "RECIPES", {"lags": {"lags": lags}, "no_lags": {"no_lags": no_lags}})
        patch.setattr(basket_recipes, "RECIPES", few)
        yield


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, run_at: Callable[..., Run]) -> Two:
    root = tmp_path_factory.mktemp("bank")
    for name, seed in (("one", 1), ("other", 2)):
        generate_panel(replace(PANEL, seed=seed), root / name)
    run = replace(run_at(root / "home"), scenario="bank_products")
    run.objects.put_folder(run.key("validated"), root / "one")
    june = 1_433_116_800_000
    found = Two(
        scenario=bank_products.SCENARIO,
        run=run,
        other=root / "other",
        earlier=june,
        fitting="propensity",
        baseline="popularity",
    )
    found.steps("prepare", "evaluate")
    return found


@pytest.fixture(scope="module")
def carts(tmp_path_factory: pytest.TempPathFactory, run_at: Callable[..., Run]) -> Two:
    root = tmp_path_factory.mktemp("carts")
    runs = []
    for name, seed in (("other", 4), ("one", 3)):
        generate_baskets(replace(SALES, seed=seed), root / name)
        runs.append(replace(run_at(root / f"home-{name}", data=str(root / name / SALES_FILE)), scenario="basket"))
        for step in ("extract", "validate"):
            run_step(basket.SCENARIO.step(step), runs[-1])
    may = 1_304_208_000_000
    found = Two(
        scenario=basket.SCENARIO,
        run=runs[1],
        other=runs[0].local("validated"),
        earlier=may,
        fitting="companions",
        baseline="popular",
    )
    found.steps("prepare", "evaluate")
    return found


@pytest.fixture(params=["bank", "carts"])
def two(request: pytest.FixtureRequest, tmp_path: Path, run_at: Callable[..., Run]) -> Two:
    """A copy of the home where the first data set is judged."""
    found: Two = request.getfixturevalue(request.param)
    shutil.copytree(found.run.objects.root.parent, tmp_path / "home", symlinks=True)  # type: ignore[attr-defined]
    return replace(found, run=replace(run_at(tmp_path / "home"), scenario=found.run.scenario))


def test_what_was_judged_on_other_data_is_not_registered(two: Two) -> None:
    two.prepare_other()
    for step in ("evaluate", "register"):
        with pytest.raises(DataError, match=rf"made of other prepared data.*again from `{two.fitting}`"):
            two.steps(step, step)
    two.steps(two.fitting, two.fitting)
    with pytest.raises(DataError, match=r"made of other prepared data.*again from `evaluate`"):
        two.steps("register", "register")
    assert two.versions() == []
    assert two.steps("evaluate", "promote")["promote"] == {"promoted": True, "champion": "1", "before": None}


def test_another_end_of_the_same_data_is_other_data(two: Two) -> None:
    two.steps("prepare", "prepare", replace(two.run, as_of=two.earlier))
    with pytest.raises(DataError, match=f"again from `{two.fitting}`"):
        two.steps("register", "register")
    two.steps("prepare", "prepare")
    assert two.steps("register", "register")["register"]["version"] == "1"


def test_data_that_were_validated_and_not_prepared_are_not_registered(two: Two) -> None:
    two.run.objects.put_folder(two.run.key("validated"), two.other)
    with pytest.raises(DataError, match="again from `prepare`"):
        two.steps("register", "register")
    assert two.versions() == []


def test_another_candidate_of_the_same_data_has_to_be_judged(two: Two) -> None:
    other = replace(two.run, recipe="no_lags" if two.fitting == "propensity" else "lift")
    two.steps(two.fitting, two.fitting, other)
    with pytest.raises(DataError, match=r"another recipe.*again from `evaluate`"):
        two.steps("register", "register")
    assert two.versions() == []


def test_older_data_do_not_replace_the_champion_unless_they_are_forced_to(two: Two) -> None:
    two.steps("register", "promote")
    earlier = replace(two.run, as_of=two.earlier)
    two.steps("prepare", "evaluate", earlier)
    two.decide("candidate")
    assert two.steps("register", "promote", earlier)["promote"] == {
        "promoted": False,
        "challenger": "2",
        "champion": "1",
    }
    forced = two.steps("promote", "promote", replace(earlier, force=True))["promote"]
    assert forced == {"promoted": True, "champion": "2", "before": "1"}
    assert two.run.registry.rollback().version == "1"


def test_force_publishes_the_candidate_where_a_baseline_won(two: Two, tmp_path: Path) -> None:
    chosen = two.steps(two.fitting, "evaluate")[two.fitting]["chosen"]
    two.decide(two.baseline)
    told = two.steps("register", "promote", replace(two.run, force=True))
    assert (told["register"]["winner"], told["register"]["judged"]) == (chosen, "candidate")
    assert told["promote"]["champion"] == "1" and two.model_of("1", tmp_path).meta["winner"] == chosen


def test_a_champion_that_was_rolled_back_after_it_was_judged_stays_rolled_back(two: Two) -> None:
    two.decide(two.baseline)
    two.steps("register", "promote")
    two.steps("evaluate", "evaluate")
    two.decide("candidate")
    second = two.steps("register", "promote")
    assert second["promote"]["champion"] == "2"
    two.steps("evaluate", "evaluate")
    two.decide("champion")
    assert two.run.registry.rollback().version == "1"
    told = two.steps("register", "promote")
    assert told["register"] == {**second["register"], "judged": "champion"}
    assert told["promote"] == {"promoted": False, "challenger": "2", "champion": "1"}
