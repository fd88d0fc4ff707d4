"""The scenario of carts on made sales whose law is known: which model is chosen, what the gate lets pass, what is
kept."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainings import Results, model_of, results

from vitrina.candidates.ease import EASE
from vitrina.errors import ConfigError, ModelFormatError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, BasketWorld, generate_baskets
from vitrina.pipeline import run_step
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run, basket_recipes
from vitrina.scenarios.basket import SCENARIO
from vitrina.scenarios.basket_judgement import METRIC, METRICS
from vitrina.scenarios.basket_recipes import BASELINES, KNOWN

RunAt = Callable[..., Run]

SPEC = BasketSpec(baskets=2_500, products=120, customers=300, months=6, seed=3)
MAY = 1_304_208_000_000  # 2011-05-01: April is judged
SMALL = {"best": {name: KNOWN[name] for name in ("ease", "lift")}, "ease": {"ease": KNOWN["ease"]}}
WORSE = {"best": {"worse": replace(KNOWN["ease"], spec=EASE(ridge=1e6))}}


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with sales and their oracle: "world" in which products go together, "noise" in which they do not, "short"
    of a few baskets, "few" of too few to compare on, "later" as the world but drawn anew."""
    root = tmp_path_factory.mktemp("sales")
    specs = {
        "world": SPEC,
        "noise": replace(SPEC, seed=4, structure=0.0, drift=0.0),
        "short": replace(SPEC, baskets=60),
        "few": replace(SPEC, baskets=400),
        "later": replace(SPEC, baskets=300),
    }
    for name, spec in specs.items():
        generate_baskets(spec, root / name)
    return {name: root / name / SALES_FILE for name in specs}


@pytest.fixture(autouse=True)
def _small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basket_recipes, "RECIPES", SMALL)


@pytest.fixture(scope="module")
def basket_at(run_at: RunAt) -> RunAt:
    """A run of this scenario."""

    def build(home: Path, **asked: Any) -> Run:
        return replace(run_at(home, **asked), scenario=SCENARIO.name)

    return build


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, basket_at: RunAt, sales: dict[str, Path]) -> tuple[Run, Results]:
    """The world's first champion; tests that train further take a copy of its home."""
    run = basket_at(tmp_path_factory.mktemp("trained"), data=str(sales["world"]), run_id="the first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basket_recipes, "RECIPES", SMALL)
        return run, results(run)


@pytest.fixture
def again(trained: tuple[Run, Results], tmp_path: Path, basket_at: RunAt, sales: dict[str, Path]) -> Run:
    """A copy of that home, to train further."""
    shutil.copytree(trained[0].objects.root.parent, tmp_path / "home", symlinks=True)  # type: ignore[attr-defined]
    return basket_at(tmp_path / "home", data=str(sales["world"]))


def test_where_products_go_together_the_best_source_is_chosen_and_promoted(trained: tuple[Run, Results]) -> None:
    run, done = trained
    validation = done["companions"]["validation"]
    assert done["companions"]["chosen"] == max(validation, key=lambda name: validation[name])
    assert set(validation) == {"ease", "lift"}
    assert done["evaluate"]["winner"] == "candidate" and done["evaluate"]["gate"]["outcome"] == "promoted"
    quality = done["evaluate"]["quality"]
    assert list(quality) == ["candidate", "popular", "item_knn"]
    assert all(set(of) == set(METRICS) for of in quality.values())
    assert quality["candidate"]["hr@10"] > 1.5 * quality["popular"]["hr@10"]
    assert quality["candidate"]["calibration_error"] < 0.05
    assert done["promote"] == {"promoted": True, "champion": "1", "before": None}
    assert done["companions"]["rows_in"] == done["evaluate"]["rows_in"] == done["register"]["rows_in"] == SPEC.baskets
    assert done["evaluate"]["rows_out"] == done["prepare"]["test"]
    assert any(note.startswith("ease: ndcg@10") for note in run.facts["notes"])


def test_a_world_without_structure_publishes_a_baseline(
    tmp_path: Path, basket_at: RunAt, sales: dict[str, Path]
) -> None:
    later = basket_at(tmp_path / "home", data=str(sales["noise"]))
    run = replace(later, as_of=MAY)
    done = results(run)
    winner = done["evaluate"]["winner"]
    assert winner in BASELINES and done["register"]["winner"] == winner
    assert (done["evaluate"]["promote"], done["promote"]["champion"]) == (False, "1")
    assert any(f"best baseline, {winner}, is published" in note for note in run.facts["notes"])
    assert model_of(run, tmp_path).meta["recipe"] == BASELINES[winner].as_json()
    again = results(run, "evaluate")["evaluate"]["quality"]
    assert again["champion"] == again[winner] == done["evaluate"]["quality"][winner]
    june = results(later)
    assert (june["evaluate"]["winner"], june["evaluate"]["gate"]["outcome"]) == ("champion", "refused")
    assert june["register"] == {**june["register"], "winner": winner, "judged": "champion"}
    assert june["promote"] == {"promoted": True, "champion": "2", "before": "1"}
    fresh = model_of(run, tmp_path, "2")
    assert fresh.meta["recipe"] == BASELINES[winner].as_json() and CompanionsModel.load(fresh).as_of > MAY
    assert results(later, "evaluate")["promote"] == {"promoted": True, "champion": "2", "before": "2"}


def test_the_tables_say_what_was_compared_and_by_how_much(trained: tuple[Run, Results]) -> None:
    run, done = trained
    folder = run.local("evaluation")
    text = (folder / "table.md").read_text()
    assert text.startswith("ndcg@10 on the validation period: ")
    assert f"The candidate is {done['companions']['chosen']}" in text
    table = json.loads((folder / "table.json").read_text())
    assert table["validation"] == done["companions"]["validation"]
    shown = {name: row[METRIC]["mean"] for name, row in table["models"].items()}
    assert shown == pytest.approx(done["evaluate"][METRIC])
    lead = table["models"]["candidate"]["ndcg@10 over popular"]
    assert 0 < lead["low"] < lead["mean"] < lead["high"]
    assert lead["mean"] == pytest.approx(shown["candidate"] - shown["popular"])
    bins = json.loads((folder / "reliability-candidate.json").read_text())
    assert bins["error"] == done["evaluate"]["quality"]["candidate"]["calibration_error"]


def test_the_published_model_has_learned_from_everything(
    trained: tuple[Run, Results], tmp_path: Path, sales: dict[str, Path]
) -> None:
    run, done = trained
    stored = model_of(run, tmp_path)
    chosen = done["companions"]["chosen"]
    assert stored.meta["winner"] == chosen and stored.meta["recipe"] == KNOWN[chosen].as_json()
    model = CompanionsModel.load(stored)
    baskets = Baskets.open(run.local("validated"))
    assert model.as_of == int(baskets.ts[-1]) + 1
    expected = KNOWN[chosen].fit(baskets, model.as_of, threads=2)
    for cart in (baskets.codes[:1], baskets.codes[3:9], ()):
        assert model.companions(cart, 5, customer=baskets.customers[0]) == expected.companions(
            cart, 5, customer=baskets.customers[0]
        )
    planted = BasketWorld.load(sales["world"].parent).companions()
    found = [follower in model.companions([leader], 5).codes for leader, follower in planted]
    assert len(found) > 10 and np.mean(found) > 0.6


def test_what_is_kept_of_a_training(trained: tuple[Run, Results]) -> None:
    run, _ = trained
    home = run.objects.root.parent / "registry" / run.registry.name / "versions" / "1"  # type: ignore[attr-defined]
    assert {path.name for path in (home / "figures").iterdir()} == {"reliability.png", "models.png"}
    assert {"quality.md", "verdict.json", "reliability-candidate.json"} <= {
        path.name for path in (home / "tables").iterdir()
    }
    with (home / "data" / "sample.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"InvoiceNo", "StockCode", "Description", "CustomerID", "InvoiceDate"}
    assert len({row["InvoiceNo"] for row in rows}) == 50 and rows[0]["Description"]
    version = run.registry.versions()[0]
    assert (
        version.metrics["ndcg_at_10"] == version.metrics["candidate/ndcg_at_10"] > version.metrics["popular/ndcg_at_10"]
    )
    assert {"hr_at_5", "hr_at_10", "hr_at_20", "mrr", "recall_at_10", "coverage_at_10", "calibration_error"} <= set(
        version.metrics
    )
    described = json.loads((home / "version.json").read_text())
    assert described["tags"]["vitrina.run_id"] == "the first" and described["params"]["products"] == "120"


@pytest.mark.slow
def test_the_same_model_keeps_its_version_and_an_earlier_end_is_another(
    trained: tuple[Run, Results], again: Run
) -> None:
    first = trained[1]["register"]
    assert results(replace(again, threads=1))["register"] == first
    earlier = results(replace(again, as_of=MAY))
    assert earlier["prepare"]["rows_out"] < earlier["prepare"]["rows_in"]
    assert earlier["register"]["version"] == "2"


@pytest.mark.slow
def test_after_a_refusal_the_champions_recipe_waits_on_fresh_data(
    again: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reigning = model_of(again, tmp_path)
    monkeypatch.setattr(basket_recipes, "RECIPES", WORSE)
    weaker = replace(again, challenger=True, as_of=MAY)
    done = results(weaker)
    assert done["evaluate"]["winner"] == "champion" and done["evaluate"]["gate"]["outcome"] == "refused"
    quality = done["evaluate"]["quality"]
    assert list(quality) == ["candidate", "popular", "item_knn", "champion"]
    told = {"winner": reigning.meta["winner"], "judged": "champion", "promote": True, "version": "2"}
    assert done["register"] == {**done["register"], **told}
    assert done["promote"] == {"promoted": False, "challenger": "2", "champion": "1"}
    fresh = model_of(again, tmp_path, "2")
    assert fresh.meta["recipe"] == reigning.meta["recipe"]
    assert CompanionsModel.load(fresh).as_of <= MAY < CompanionsModel.load(reigning).as_of
    assert fresh.meta["metrics"][METRIC] == quality["champion"][METRIC]
    forced = replace(again, force=True, as_of=MAY)
    assert run_step(SCENARIO.step("register"), forced).result["winner"] == "worse"
    assert run_step(SCENARIO.step("promote"), forced).result == {"promoted": True, "champion": "3", "before": "1"}


@pytest.mark.slow
def test_a_challenger_waits_until_it_is_promoted(again: Run) -> None:
    other = replace(again, recipe="ease", as_of=MAY, challenger=True)
    assert results(other)["promote"] == {"promoted": False, "challenger": "2", "champion": "1"}
    assert again.registry.promote().version == "2"


def test_a_training_that_breaks_leaves_champion_and_outputs(again: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: again.local(name) for name in ("companions", "evaluation")}
    broken = replace(KNOWN["ease"], spec=EASE(ridge=-1e9))
    monkeypatch.setattr(basket_recipes, "RECIPES", {"best": {**SMALL["best"], "broken": broken}})
    with pytest.raises(ConfigError, match="no solution"):
        results(again)
    assert {name: again.local(name) for name in before} == before
    champion = again.registry.champion()
    assert champion is not None and champion.version == "1"


def test_a_champion_of_another_release_is_replaced_only_on_demand(again: Run, tmp_path: Path) -> None:
    stored = model_of(again, tmp_path / "found")
    for recipe in ({"name": "ease", "of_tomorrow": 1}, {"name": "of_tomorrow"}):
        write_model(
            tmp_path / "foreign", arrays=stored.arrays, files=stored.files, meta={**stored.meta, "recipe": recipe}
        )
        version = again.registry.register(tmp_path / "foreign", RunRecord(fingerprint="f")).version
        again.registry.promote(version)
        with pytest.raises(ModelFormatError, match=r"of_tomorrow.*--force"):
            results(again, "evaluate")
    assert results(replace(again, force=True), "evaluate")["promote"]["before"] == version


def test_the_test_period_decides_nothing_but_the_verdict(
    trained: tuple[Run, Results], tmp_path: Path, basket_at: RunAt, sales: dict[str, Path]
) -> None:
    """In sales whose last month is drawn anew, choice, model and confidence before it are the same."""
    run, done = trained
    test = json.loads((run.local("prepared") / "split.json").read_text())["test"]
    with sales["world"].open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    code, name, at = (header.index(column) for column in ("StockCode", "Description", "InvoiceDate"))
    late = [line for line in lines if datetime.fromisoformat(f"{line[at]}+00:00").timestamp() * 1000 >= test]
    drawn = np.random.default_rng(5).permutation(len(late))
    products = [(late[other][code], late[other][name]) for other in drawn.tolist()]
    for line, (other, called) in zip(late, products, strict=True):
        line[code], line[name] = other, called
    with (tmp_path / "other.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    found = results(basket_at(tmp_path / "home", data=str(tmp_path / "other.csv")))
    assert found["evaluate"]["quality"]["candidate"] != done["evaluate"]["quality"]["candidate"]
    assert found["companions"] == done["companions"]
    name = done["companions"]["chosen"]
    one, other = (
        read_model(place / name)
        for place in (run.local("companions"), (tmp_path / "home" / "objects" / "basket" / "companions").resolve())
    )
    for array in one.arrays:
        np.testing.assert_array_equal(one.arrays[array], other.arrays[array], err_msg=array)


def test_what_a_search_finds_is_kept_for_later_trainings(again: Run) -> None:
    companions = SCENARIO.step("companions")
    asked = replace(again, recipe="ease")
    before = run_step(companions, asked).result["validation"]["ease"]
    found = run_step(companions, replace(asked, tune=12)).result["validation"]["ease"]
    notes = [note.split(", ")[:2] for note in again.facts["notes"] if ", trial " in note]
    assert notes == [["ease", f"trial {n} of 12"] for n in range(1, 13)]
    assert found > before
    assert run_step(companions, asked).result["validation"]["ease"] == found


@pytest.mark.slow
def test_a_blend_that_is_better_takes_over(again: Run, tmp_path: Path) -> None:
    blend = KNOWN["blend"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basket_recipes, "RECIPES", {"best": {"blend": blend, "ease": KNOWN["ease"]}})
        done = results(again, "companions")
    assert done["companions"]["chosen"] == done["register"]["winner"] == "blend"
    quality = done["evaluate"]["quality"]
    assert quality["candidate"][METRIC] > quality["champion"][METRIC] > quality["item_knn"][METRIC]
    assert done["promote"] == {"promoted": True, "champion": "2", "before": "1"}
    stored = model_of(again, tmp_path, "2")
    assert stored.meta["recipe"] == blend.as_json() and CompanionsModel.load(stored).kind == "blend"
    home = again.objects.root.parent / "registry" / again.registry.name / "versions" / "2"  # type: ignore[attr-defined]
    assert (home / "figures" / "feature_importance.png").exists()
    assert "ease" in json.loads((home / "version.json").read_text())["features"][0]


def test_a_learned_champion_stays_when_nothing_can_be_judged(again: Run, sales: dict[str, Path]) -> None:
    done = results(replace(again, data=str(sales["short"])))
    assert (done["evaluate"]["winner"], done["evaluate"]["gate"]["outcome"]) == ("champion", "refused")
    assert done["promote"] == {"promoted": False, "champion": "1"} and again.registry.challenger() is None
    few = results(replace(again, data=str(sales["few"])))
    assert "ndcg@10" in few["evaluate"]["quality"]["champion"] and 30 <= few["evaluate"]["rows_out"] < 100
    assert (few["evaluate"]["winner"], few["register"]["judged"]) == ("champion", "champion")
