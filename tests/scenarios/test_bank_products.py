"""The bank's scenario on generated panels whose laws are known: which model is chosen, what the gate lets pass, and
what is kept."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trainings
from trainings import Results, model_of

from vitrina.errors import ConfigError, ModelFormatError
from vitrina.evaluation.propensity_report import COHORTS
from vitrina.events.panels.columns import NAMED_HEADER, PANEL_FILE, PRODUCTS
from vitrina.pipeline import run_step
from vitrina.ranking.multi_output_propensity import MultiOutputPropensity
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.ranking.propensity_rows import propensity_rows
from vitrina.recommend.propensity_model import PropensityModel
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run, bank_recipes
from vitrina.scenarios.bank_panel import opened
from vitrina.scenarios.bank_products import METRICS, SCENARIO
from vitrina.scenarios.bank_recipes import BASELINES, Recipe

RunAt = Callable[..., Run]

LAGS = Recipe.of(ProductPropensity(iterations=40, at_least=500))
NO_LAGS = Recipe.of(ProductPropensity(iterations=40, at_least=500, lags=False))
CLASSIFIERS = MultiOutputPropensity(iterations=8, depth=4, rows_at_most=4_000)
SMALL = {
    "lags": {"lags": LAGS, "multi_output": Recipe.of(CLASSIFIERS)},
    "no_lags": {"no_lags": NO_LAGS},
    "multi_output": {"multi_output": Recipe.of(CLASSIFIERS)},
    "reference": {"reference": Recipe.of(CLASSIFIERS, "ever_bought")},
}
SEPTEMBER = 1_441_065_600_000  # 2015-09-01: August is the last whole month


@pytest.fixture(autouse=True)
def _small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_recipes, "RECIPES", SMALL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, bank_at: RunAt) -> tuple[Run, Results]:
    """The world's first champion; tests that train further take a copy of its home."""
    run = bank_at(tmp_path_factory.mktemp("trained"), "world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_recipes, "RECIPES", SMALL)
        return run, results(run)


@pytest.fixture
def again(trained: tuple[Run, Results], tmp_path: Path, run_at: RunAt) -> Run:
    """A copy of that home, to train further."""
    shutil.copytree(trained[0].objects.root.parent, tmp_path / "home", symlinks=True)  # type: ignore[attr-defined]
    return replace(run_at(tmp_path / "home"), scenario=SCENARIO.name)


def results(run: Run, first: str = "prepare") -> Results:
    return trainings.results(run, first)


def own(run: Run, owned: np.ndarray) -> None:
    """Puts other products (rows,) into the panel that was read."""
    table = pq.read_table(run.local("validated") / PANEL_FILE)
    report = (run.local("validated") / "report.json").read_bytes()
    with run.objects.writing(run.key("validated")) as folder:
        place = table.schema.get_field_index("owned")
        pq.write_table(table.set_column(place, "owned", pa.array(owned, pa.uint32())), folder / PANEL_FILE)
        (folder / "report.json").write_bytes(report)


def test_where_lags_matter_the_lag_model_is_chosen_and_promoted(trained: tuple[Run, Results]) -> None:
    _run, done = trained
    assert done["prepare"]["as_of_month"] == "2015-09"
    assert done["prepare"]["labelled"] == [f"2015-{month:02d}" for month in range(1, 9)]
    validation = done["propensity"]["validation"]
    assert done["propensity"]["chosen"] == "lags" and validation["lags"] > 1.05 * validation["multi_output"]
    assert done["evaluate"]["winner"] == "candidate" and done["evaluate"]["gate"]["outcome"] == "promoted"
    quality = done["evaluate"]["quality"]
    assert list(quality) == ["candidate", "multi_output", "popularity", "constant"]
    assert all(set(of) == set(METRICS) for of in quality.values())
    assert quality["candidate"]["map@7"] > 1.1 * quality["popularity"]["map@7"]
    assert done["promote"] == {"promoted": True, "champion": "1", "before": None}
    flow = {step: (result.get("rows_in"), result.get("rows_out")) for step, result in done.items()}
    rows = flow["prepare"][0]
    assert flow["prepare"] == (rows, rows) and flow["propensity"][0] == flow["register"][0] == rows
    assert 0 < flow["evaluate"][1] <= 2_500 and flow["propensity"][1] < rows


def test_a_world_without_structure_publishes_popularity(tmp_path: Path, bank_at: RunAt) -> None:
    later = bank_at(tmp_path / "home", "noise")
    run = replace(later, as_of=SEPTEMBER)
    done = results(run)
    assert done["evaluate"]["winner"] == done["register"]["winner"] == "popularity"
    assert (done["evaluate"]["promote"], done["promote"]["champion"]) == (False, "1")
    assert any("best baseline, popularity, is published" in note for note in run.facts["notes"])
    stored = model_of(run, tmp_path)
    assert stored.meta["kind"] == "popularity" and stored.meta["recipe"] == BASELINES["popularity"].as_json()
    assert np.isfinite(PropensityModel.load(stored).thresholds).sum() > 0
    assert results(run, "evaluate")["evaluate"]["quality"]["champion"] == done["evaluate"]["quality"]["popularity"]
    october = results(later)
    assert (october["evaluate"]["winner"], october["evaluate"]["gate"]["outcome"]) == ("champion", "refused")
    assert october["register"] == {**october["register"], "winner": "popularity", "judged": "champion"}
    assert october["promote"] == {"promoted": True, "champion": "2", "before": "1"}
    fresh = model_of(run, tmp_path, "2")
    assert fresh.meta["recipe"] == stored.meta["recipe"] and fresh.meta["as_of_month"] == 2015 * 12 + 8


def test_the_evaluation_tells_both_cohorts_apart(trained: tuple[Run, Results]) -> None:
    run, done = trained
    folder = run.local("evaluation")
    text = (folder / "table.md").read_text()
    assert text.startswith("What was taken in 2015-09. The candidate is lags.\n")
    tables = json.loads((folder / "table.json").read_text())["cohorts"]
    assert list(tables) == list(COHORTS) == ["all_customers", "ever_bought"]
    everybody, buyers = tables.values()
    assert everybody["users"] == done["evaluate"]["rows_out"] > 2 * buyers["users"] > 0
    assert "would not come true" in buyers["title"] and buyers["title"] in text
    shown = {name: row["map@7"]["mean"] for name, row in everybody["models"].items()}
    assert shown == pytest.approx({name: of["map@7"] for name, of in done["evaluate"]["quality"].items()})
    for table in tables.values():
        for row in table["models"].values():
            over = row["map@7 over popularity"]
            assert over["low"] <= over["mean"] <= over["high"]
        lead = table["models"]["candidate"]["map@7 over popularity"]
        assert lead["low"] > 0 and lead["mean"] == pytest.approx(
            table["models"]["candidate"]["map@7"]["mean"] - table["models"]["popularity"]["map@7"]["mean"]
        )
        assert table["models"]["popularity"]["map@7 over popularity"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert buyers["models"]["candidate"]["map@7"]["mean"] > 2 * shown["candidate"]
    report = json.loads((folder / "report-candidate.json").read_text())["all_customers"]
    assert [row["product"] for row in report["products"]] == [product.code for product in PRODUCTS]
    assert set(report["products"][0]["decisions"]) == {"per_product", "single", "fixed_0.5"}
    assert {"micro_roc_auc", "macro_pr_auc", "micro_f1/single", "macro_recall/per_product"} <= set(report["averages"])


def test_the_published_model_is_the_winner_that_learned_from_one_month_more(
    trained: tuple[Run, Results], tmp_path: Path
) -> None:
    run, _ = trained
    stored = model_of(run, tmp_path)
    assert stored.meta["recipe"] == LAGS.as_json() and stored.meta["winner"] == "lags"
    model = PropensityModel.load(stored)
    panel, split = opened(run)
    assert (model.as_of_month, split.test) == (2015 * 12 + 8, 2015 * 12 + 7)
    train, valid = (
        propensity_rows(panel, model.encoding, *months)
        for months in ((None, split.validation), (split.test, split.test))
    )
    inputs = valid.inputs
    np.testing.assert_array_equal(model.probabilities(inputs), LAGS.fit(train, valid, threads=2).probabilities(inputs))
    own = valid.take(np.arange(200)).inputs
    assert model.decide(model.probabilities(own), own).sum() > 0


def test_what_is_kept_of_a_training(trained: tuple[Run, Results]) -> None:
    run, _ = trained
    home = run.objects.root.parent / "registry" / run.registry.name / "versions" / "1"
    assert {path.name for path in (home / "figures").iterdir()} == {
        "reliability.png", "pr_auc_by_product.png", "feature_importance.png",
    }  # fmt: skip
    assert {"quality.md", "verdict.json", "report-candidate.json"} <= {
        path.name for path in (home / "tables").iterdir()
    }
    with (home / "data" / "sample.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == set(NAMED_HEADER) and 50 < len(rows) <= 100
    version = run.registry.versions()[0]
    assert version.metrics["map_at_7"] == version.metrics["candidate/map_at_7"] > version.metrics["popularity/map_at_7"]
    assert version.metrics["ever_bought/map_at_7"] > version.metrics["map_at_7"]
    assert version.metrics["calibration_error_equal_mass"] < 0.01


@pytest.mark.slow
def test_the_same_model_keeps_its_version_and_an_earlier_end_is_another(
    trained: tuple[Run, Results], again: Run
) -> None:
    first = trained[1]["register"]
    assert results(replace(again, recipe="lags", threads=1))["register"] == first
    earlier = results(replace(again, as_of=SEPTEMBER))
    assert earlier["prepare"]["as_of_month"] == "2015-08"
    assert earlier["prepare"]["rows_out"] < earlier["prepare"]["rows_in"]
    assert (first["version"], earlier["register"]["version"]) == ("1", "2")


@pytest.mark.slow
def test_what_a_search_finds_is_kept_for_later_trainings(again: Run) -> None:
    poor = Recipe.of(ProductPropensity(iterations=40, at_least=500, learning_rate=0.02, depth=3, l2_leaf_reg=100.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_recipes, "RECIPES", {"lags": {"lags": poor}})
        propensity = SCENARIO.step("propensity")
        before = run_step(propensity, again).result["validation"]["lags"]
        found = run_step(propensity, replace(again, tune=4)).result["validation"]["lags"]
        assert found > before
        notes = [note for note in again.facts["notes"] if note.startswith("trial")]
        assert [note.split(":")[0] for note in notes] == [f"trial {n} of 4" for n in (1, 2, 3, 4)]
        assert notes[0].endswith(f"{before:.4f}")
        assert run_step(propensity, again).result["validation"]["lags"] == found
    with pytest.raises(ConfigError, match="nothing is searched in multi_output"):
        run_step(propensity, replace(again, tune=4, recipe="multi_output"))


@pytest.mark.slow
def test_a_weaker_recipe_is_refused_and_if_it_reigns_beaten(again: Run, tmp_path: Path) -> None:
    weaker = replace(again, recipe="no_lags", as_of=SEPTEMBER)
    done = results(weaker)
    assert done["evaluate"]["winner"] == "champion" and done["evaluate"]["gate"]["outcome"] == "refused"
    quality = done["evaluate"]["quality"]
    assert list(quality) == ["candidate", "popularity", "constant", "champion"]
    told = {"winner": "lags", "judged": "champion", "promote": True, "version": "2"}
    assert done["register"] == {**done["register"], **told}
    assert done["promote"] == {"promoted": False, "challenger": "2", "champion": "1"}, "its data are older"
    assert again.registry.promote().version == "2"
    fresh = model_of(again, tmp_path / "fresh", "2")
    assert fresh.meta["recipe"] == LAGS.as_json() and fresh.meta["as_of_month"] == 2015 * 12 + 7
    assert fresh.meta["metrics"]["map@7"] == quality["champion"]["map@7"]
    forced = replace(weaker, force=True)
    assert run_step(SCENARIO.step("register"), forced).result["winner"] == "no_lags"
    assert run_step(SCENARIO.step("promote"), weaker).result == {"promoted": False, "champion": "2"}
    assert run_step(SCENARIO.step("promote"), forced).result == {"promoted": True, "champion": "3", "before": "2"}
    done = results(again)
    quality = done["evaluate"]["quality"]
    assert quality["candidate"]["map@7"] > quality["champion"]["map@7"] > quality["popularity"]["map@7"]
    assert done["promote"]["before"] == "3"


def test_a_training_that_breaks_leaves_champion_and_outputs(again: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: again.local(name) for name in ("propensity", "evaluation")}
    breaking = {**SMALL["lags"], "broken": Recipe.of(replace(CLASSIFIERS, depth=99))}
    monkeypatch.setattr(bank_recipes, "RECIPES", {"lags": breaking})
    with pytest.raises(Exception, match="depth"):
        results(again)
    assert {name: again.local(name) for name in before} == before
    champion = again.registry.champion()
    assert champion is not None and champion.version == "1"


def test_a_champion_of_another_release_is_replaced_only_on_demand(again: Run, tmp_path: Path) -> None:
    stored = model_of(again, tmp_path / "found")
    foreign = {**stored.meta, "recipe": {"kind": "product", "of_tomorrow": 1}}
    write_model(tmp_path / "foreign", arrays=stored.arrays, files=stored.files, meta=foreign)
    version = again.registry.register(tmp_path / "foreign", RunRecord(fingerprint="f")).version
    again.registry.promote(version)
    with pytest.raises(ModelFormatError, match=r"of_tomorrow.*--force"):
        results(again, "evaluate")
    assert results(replace(again, force=True), "evaluate")["promote"]["before"] == version


def test_the_test_month_decides_nothing_but_the_verdict(
    trained: tuple[Run, Results], tmp_path: Path, bank_at: RunAt
) -> None:
    """In a panel whose last month is turned upside down, models, choice, calibration and thresholds are the same."""
    run, done = trained
    planted = bank_at(tmp_path / "home", "world")
    table = pq.read_table(planted.local("validated") / PANEL_FILE)
    last = np.asarray(table["month"]) == np.asarray(table["month"]).max()
    own(planted, np.where(last, ~np.asarray(table["owned"]) & 0xFFFFFF, np.asarray(table["owned"])))
    found = results(planted)
    assert found["evaluate"]["quality"]["candidate"] != done["evaluate"]["quality"]["candidate"]
    assert found["propensity"] == done["propensity"]
    for name in ("lags", "multi_output"):
        one, other = (read_model(of.local("propensity") / name) for of in (run, planted))
        assert one.meta == other.meta
        for array in one.arrays:
            np.testing.assert_array_equal(one.arrays[array], other.arrays[array], err_msg=array)


def test_the_reference_learns_from_buyers_and_is_shown_among_them_first(tmp_path: Path, bank_at: RunAt) -> None:
    run = bank_at(tmp_path / "home", "world", recipe="reference")
    done = results(run)
    assert list(json.loads((run.local("evaluation") / "table.json").read_text())["cohorts"]) == [
        "ever_bought",
        "all_customers",
    ]
    assert done["propensity"]["chosen"] == "reference"
    panel, split = opened(run)
    encoding = PropensityModel.load(read_model(run.local("propensity") / "reference")).encoding
    everybody = propensity_rows(panel, encoding, None, split.training)
    bought = np.isin(everybody.customers, everybody.customers[everybody.taken != 0])
    assert 0.1 < bought.mean() < 0.5
    assert bought.sum() < np.isin(everybody.customers, bank_recipes.buyers(panel)).sum(), "who buys later is not known"
    seen: list[int] = []

    class Listening(MultiOutputPropensity):
        def fit(self, train: Any, valid: Any = None) -> Any:
            seen.extend([len(train), len(valid)])

    later = propensity_rows(panel, encoding, split.validation, split.validation)
    Recipe(kind="multi_output", spec=Listening(), cohort="ever_bought").fit(everybody, later, threads=1)
    assert seen == [bought.sum(), len(later)]


def test_too_few_months_publish_popularity_and_say_so(tmp_path: Path, bank_at: RunAt) -> None:
    run = bank_at(tmp_path / "home", "short")
    early = replace(run, as_of=1_425_168_000_000)  # 2015-03-01: one month is followed by another
    february = results(early)
    assert february["prepare"]["labelled"] == ["2015-01"]
    assert february["promote"] == {"promoted": True, "champion": "1", "before": None}
    done = results(run)
    assert done["propensity"]["learned"] is False and "three are needed" in done["propensity"]["why"]
    assert done["evaluate"]["winner"] == done["register"]["winner"] == "popularity"
    assert done["promote"] == {"promoted": True, "champion": "2", "before": "1"}
    assert "nothing can be judged" in (run.local("evaluation") / "table.md").read_text()
    assert PropensityModel.load(model_of(run, tmp_path, "2")).as_of_month == 2015 * 12 + 2
    assert results(replace(early, challenger=True))["promote"]["challenger"] == "3"
    assert run.registry.promote().version == "3"


def test_a_learned_champion_stays_when_nothing_can_be_judged(again: Run) -> None:
    done = results(replace(again, as_of=1_427_846_400_000))  # 2015-04-01: two months are followed by another
    assert done["propensity"]["learned"] is False and done["evaluate"]["winner"] == "champion"
    assert done["promote"] == {"promoted": False, "champion": "1"} and again.registry.challenger() is None


def test_nobody_who_takes_anything_is_too_little_as_well(tmp_path: Path, bank_at: RunAt) -> None:
    run = bank_at(tmp_path / "home", "world")
    own(run, np.zeros(pq.read_metadata(run.local("validated") / PANEL_FILE).num_rows))
    done = results(run)
    assert "nobody takes" in done["propensity"]["why"] and done["promote"]["promoted"]
