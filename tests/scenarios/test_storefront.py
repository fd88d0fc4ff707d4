"""From raw files to a registered champion: the raw sample with and without its tree, a tiny foreign log, and again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from vitrina.errors import DataError, ModelFormatError, NoChampionError
from vitrina.pipeline import run_step, train
from vitrina.ranking.regimes import REGIMES
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run
from vitrina.scenarios.storefront import METRICS, SCENARIO
from vitrina.scenarios.storefront_champion import Champion
from vitrina.storage.objects import FolderObjects

RunAt = Callable[..., Run]


def results(run: Run) -> dict[str, dict[str, Any]]:
    return {done.step: done.result for done in train(SCENARIO, run)}


def test_fifty_lines_with_their_own_names_end_in_a_champion(tiny_log: Path, tmp_path: Path, run_at: RunAt) -> None:
    columns = (
        "user=customer,item=sku,event=type,timestamp=ts,event.view=look,event.addtocart=basket,event.transaction=paid"
    )
    run = run_at(tmp_path / "home", data=str(tiny_log), columns=columns)
    done = results(run)
    assert (done["validate"]["rows_out"], done["validate"]["users"], done["validate"]["items"]) == (50, 10, 5)
    flow = {step: (result.get("rows_in"), result.get("rows_out")) for step, result in done.items()}
    assert (flow["validate"], flow["prepare"], flow["ranker"]) == ((50, 50), (50, 50), (50, 0))
    assert flow["register"] == (50, None) and flow["publish"] == (50, 10)
    assert done["candidates"]["rows_in"] == done["evaluate"]["rows_in"] == 50
    assert 0 < done["evaluate"]["rows_out"] <= 10 < done["candidates"]["rows_out"]
    assert done["ranker"]["learned"] is False
    assert done["evaluate"]["winner"] == done["register"]["winner"] in ("popular", "item_knn")
    assert done["evaluate"]["gate"] == {"outcome": "promoted", "reasons": done["evaluate"]["reasons"]}
    assert done["evaluate"]["quality"]["candidate"].keys() == {*METRICS}
    assert {name: of["ndcg@10"] for name, of in done["evaluate"]["quality"].items()} == done["evaluate"]["ndcg@10"]
    assert any("best baseline" in note for note in run.facts["notes"])
    assert done["promote"] == {"promoted": True, "champion": "1", "before": None}
    assert done["publish"]["users"] == 10
    champion = Champion.open(run)
    answer = champion.recommend("kunde-3", k=5, session=[])
    assert answer["known"] and set(answer["recs"]) <= {f"ware-{letter}" for letter in "äbcde"}
    assert len(answer["recs"]) == 5
    assert champion.recommend("nobody", k=2, session=["ware-ä"])["known"] is False
    with pytest.raises(DataError, match="--session"):
        champion.recommend("kunde-3", k=5, session=["ware-z"])


@pytest.mark.slow
def test_the_raw_sample_with_properties_and_tree(
    raw_sample: Path, tmp_path: Path, run_at: RunAt, small_recipe: Callable[[FolderObjects], None]
) -> None:
    run = run_at(tmp_path / "home", data=str(raw_sample))
    small_recipe(run.objects)
    done = results(run)
    assert done["validate"]["missing"] == []
    assert done["promote"]["promoted"] and done["promote"]["champion"] == "1"
    catalogue = Champion.open(run).recommender.catalogue
    assert (catalogue.category >= 0).any() and (catalogue.parent >= 0).any()
    assert not catalogue.available.all()
    roots = catalogue.categories[catalogue.parent < 0].tolist()
    np.testing.assert_array_equal(catalogue.in_categories(roots), catalogue.category >= 0)


@pytest.mark.slow
def test_the_raw_sample_without_its_tree(
    raw_sample: Path, tmp_path: Path, run_at: RunAt, small_recipe: Callable[[FolderObjects], None]
) -> None:
    (raw_sample / "category_tree.csv").unlink()
    run = run_at(tmp_path / "home", data=str(raw_sample))
    small_recipe(run.objects)
    done = results(run)
    assert len(done["validate"]["missing"]) == 1 and "tree" in done["validate"]["missing"][0]
    assert done["promote"]["champion"] == "1"
    assert (Champion.open(run).recommender.catalogue.parent == -1).all()


STAMPED = ("ranker_both.cbm", "ranker_visit.cbm", "ranker_between.cbm", "model.json")


def content(folder: Path) -> dict[str, Any]:
    """What a folder says: rows of parquet files, and digests of the others except STAMPED, which hold the hour."""
    return {
        path.relative_to(folder).as_posix(): pq.read_table(path).to_pylist()
        if path.suffix == ".parquet"
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.relative_to(folder).as_posix() not in STAMPED
    }


def state(run: Run) -> dict[str, Any]:
    """Every object of the scenario, and which version is the champion."""
    home = run.objects.root / run.scenario
    champion = run.registry.champion()
    found: dict[str, Any] = {"champion": champion.version if champion else None}
    for path in sorted(home.iterdir()):
        if not path.name.startswith("."):
            found[path.name] = content(path.resolve()) if path.is_dir() else path.read_bytes()
    return found


def fetched(run: Run, version: str) -> Path:
    folder = run.objects.root.parent / "fetched" / version
    folder.parent.mkdir(exist_ok=True)
    run.registry.fetch(version, folder)
    return folder


@pytest.mark.slow
def test_every_step_twice_is_every_step_once(
    tmp_path: Path, world: Path, run_at: RunAt, small_recipe: Callable[[FolderObjects], None]
) -> None:
    run = run_at(tmp_path / "home", data=str(world), as_of=1_430_611_200_000 + 65 * 86_400_000)
    small_recipe(run.objects)
    for step in SCENARIO.steps:
        first = run_step(step, run).result
        after = state(run)
        second = run_step(step, run).result
        if step.name == "promote":
            assert second["champion"] == second["before"] == first["champion"]
        else:
            assert second == first, step.name
        assert state(run) == after, step.name
    assert [one.version for one in run.registry.versions()] == ["1"]
    assert Champion.open(run).version == "1"


@pytest.mark.slow
def test_an_earlier_end_of_the_log_is_another_version_and_clears_the_tables_of_the_first(
    tmp_path: Path, world: Path, run_at: RunAt, small_recipe: Callable[[FolderObjects], None]
) -> None:
    later, earlier = (1_430_611_200_000 + day * 86_400_000 for day in (66, 63))
    run = run_at(tmp_path / "home", data=str(world), as_of=later)
    small_recipe(run.objects)
    sources = run.objects.root / "storefront" / "sources"
    assert results(run)["register"]["version"] == "1"
    before = {path.name for path in sources.iterdir()}
    assert results(run)["register"]["version"] == "1" and {path.name for path in sources.iterdir()} == before
    again = results(replace(run, as_of=earlier))
    assert again["register"]["version"] == "2"
    cuts = {int(path.name.split("-")[0]) for path in sources.iterdir()}
    assert max(int(name.split("-")[0]) for name in before) not in cuts
    assert max(cuts) <= earlier and again["candidates"]["as_of"] in cuts and set(again["candidates"]["windows"]) <= cuts


def test_a_champion_of_another_release_is_replaced_only_on_demand(
    tmp_path: Path, tiny_log: Path, run_at: RunAt
) -> None:
    columns = (
        "user=customer,item=sku,event=type,timestamp=ts,event.view=look,event.addtocart=basket,event.transaction=paid"
    )
    run = run_at(tmp_path / "home", data=str(tiny_log), columns=columns)
    results(run)
    stored = read_model(fetched(run, "1"))
    foreign = {**stored.meta, "recipe": {**stored.meta["recipe"], "a_parameter_of_tomorrow": 1}}
    write_model(tmp_path / "foreign", arrays=stored.arrays, files=stored.files, meta=foreign)
    run.registry.promote(run.registry.register(tmp_path / "foreign", RunRecord(fingerprint="f")).version)
    with pytest.raises(ModelFormatError, match=r"a_parameter_of_tomorrow.*--force"):
        run_step(SCENARIO.step("evaluate"), run)
    assert results(replace(run, force=True))["promote"]["before"] == "2"


def test_a_step_without_its_input_says_which_step_makes_it(tmp_path: Path, run_at: RunAt) -> None:
    run = run_at(tmp_path / "home")
    with pytest.raises(DataError, match="storefront/validated"):
        run_step(SCENARIO.step("prepare"), run)
    with pytest.raises(NoChampionError, match="promote"):
        run_step(SCENARIO.step("publish"), run)
    with pytest.raises(NoChampionError, match="vitrina train storefront"):
        Champion.open(run)


def test_a_fault_is_told_of_the_file_that_the_caller_gave(tiny_log: Path, tmp_path: Path, run_at: RunAt) -> None:
    columns = "user=customer,item=sku,event=type,timestamp=ts"
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "events.csv").write_bytes(tiny_log.read_bytes())
    for given, named in ((tiny_log, str(tiny_log)), (folder, str(folder / "events.csv"))):
        run = run_at(tmp_path / "home", data=str(given), columns=columns)
        run_step(SCENARIO.step("extract"), run)
        with pytest.raises(DataError, match="unknown event") as raised:
            run_step(SCENARIO.step("validate"), run)
        assert raised.value.where == f"{named}, row 2"


def test_a_champion_is_loaded_from_its_own_files(tmp_path: Path, tiny_log: Path, run_at: RunAt) -> None:
    """Another log in the store changes nothing for the champion's answers until it is published."""
    columns = (
        "user=customer,item=sku,event=type,timestamp=ts,event.view=look,event.addtocart=basket,event.transaction=paid"
    )
    run = run_at(tmp_path / "home", data=str(tiny_log), columns=columns)
    results(run)
    before = Champion.open(run).recommend("kunde-1", k=5, session=[])
    half = tmp_path / "half.csv"
    half.write_text("".join(tiny_log.read_text(encoding="utf-8").splitlines(keepends=True)[:30]), encoding="utf-8")
    later = run_at(tmp_path / "home", data=str(half), columns=columns)
    for name in ("extract", "validate", "prepare"):
        run_step(SCENARIO.step(name), later)
    assert Champion.open(later).recommend("kunde-1", k=5, session=[]) == before


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes on two idle cores
def test_the_extract_is_won_by_the_two_stage_recipe(data_dir: Path, tmp_path: Path, run_at: RunAt) -> None:
    run = run_at(tmp_path / "home", data=str(data_dir / "retailrocket"))
    done = results(run)
    ndcg = done["evaluate"]["ndcg@10"]
    assert done["evaluate"]["winner"] == "candidate" and done["register"]["winner"] == "catboost"
    assert done["promote"]["champion"] == "1"
    assert ndcg["candidate"] > max(ndcg["popular"] + 0.03, ndcg["item_knn"])
    assert done["ranker"]["learned"] and set(done["ranker"]["ndcg"]) == set(REGIMES)
    recall = done["candidates"]["recall"]
    assert recall["union"] > max(recall["by_source"].values()) > 0
    metrics = run.registry.versions()[0].metrics
    assert metrics["ndcg_at_10"] == pytest.approx(ndcg["candidate"])
    model = fetched(run, "1")
    assert read_model(model).files.keys() == {f"ranker_{regime}.cbm" for regime in REGIMES}
    assert len(Recommender.load(read_model(model)).items) == 29_905
