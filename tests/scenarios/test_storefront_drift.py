"""Drift on generated days: none where none was planted, the planted one where it was, and too little is no error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.events.schema import DAY_MS
from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.pipeline import run_step, train
from vitrina.registry.model_format import read_model, write_model
from vitrina.scenarios import Run
from vitrina.scenarios.storefront import SCENARIO, cuts, opened, recipe
from vitrina.scenarios.storefront_tables import tables_at, tables_name
from vitrina.storage.objects import FolderObjects
from vitrina.telemetry.drift import FALSE_ALARMS, LEAST_VISITORS, LEAST_WEEKS

WEEK = 7 * DAY_MS
WEEKS, JUDGED = 30, 20
START = 1_430_611_200_000
END = START + WEEKS * WEEK
FOLLOWS = {"score", "popularity"}  # what the ranker makes of planted features

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shop_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated shop that does not change, each week ended by an event of its last millisecond, so that weeks counted
    back from any of them begin at the same times. A week more than is asked for: the generator squeezes the visits that
    would not end into the last days."""
    out = tmp_path_factory.mktemp("generated") / "world"
    generate_world(WorldSpec(events=120_000, users=5_000, items=300, days=7 * (WEEKS + 1), seed=4, drift=0.0), out)
    events = out / "events.csv"
    item = events.read_text().split("\n", 2)[1].split(",")[3]
    with events.open("a") as file:
        file.writelines(f"{START + week * WEEK - 1},999999999,view,{item},\n" for week in range(1, WEEKS + 1))
    return out


@pytest.fixture(scope="module")
def trained(
    shop_log: Path,
    tmp_path_factory: pytest.TempPathFactory,
    run_at: Callable[..., Run],
    small_recipe: Callable[[FolderObjects], None],
) -> Run:
    """A run with a ranker and the candidate sources of every week."""
    run = run_at(tmp_path_factory.mktemp("drift") / "home", data=str(shop_log), as_of=END)
    small_recipe(run.objects)
    for name in ("extract", "validate", "prepare", "ranker"):
        run_step(SCENARIO.step(name), run)
    with opened(run) as shop:
        assert shop.as_of == END
        for cut in cuts(shop):
            tables_at(run, shop, recipe(run), cut)
    return run


def drift_of(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run_step(SCENARIO.step("drift"), run).result["drift"]
    return found


def test_twenty_undrifted_days_raise_no_more_alarms_than_stated(trained: Run) -> None:
    days = [drift_of(replace(trained, as_of=END - back * WEEK)) for back in range(JUDGED)]
    assert all(day["judged"] for day in days), [day.get("why") for day in days]
    assert [day["day"] for day in days] == [END - back * WEEK - DAY_MS for back in range(JUDGED)]
    alarms = [day["drifted"] for day in days if day["drifted"]]
    sys.stdout.write(f"undrifted days with an alarm: {len(alarms)} of {JUDGED}, stated {FALSE_ALARMS:.0%}: {alarms}\n")
    assert len(alarms) <= FALSE_ALARMS * JUDGED


@contextmanager
def broken_item_table(run: Run, breaking: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """The item table of the last day's cut-off with columns changed; whole again afterwards."""
    with opened(run) as shop:
        name = f"sources/{tables_name(shop, recipe(run), END - 2 * WEEK)}"
    stored = read_model(run.local(name))
    arrays = {key: np.array(value) for key, value in stored.arrays.items()}
    columns = {feature: arrays["item_values"][:, place] for place, feature in enumerate(ITEM_FEATURES)}
    before = {key: np.array(value) for key, value in stored.arrays.items()}
    breaking(columns)
    with run.writing(name) as folder:
        write_model(folder, arrays=arrays, files={}, meta={"as_of": END - 2 * WEEK})
    try:
        yield
    finally:
        with run.writing(name) as folder:
            write_model(folder, arrays=before, files={}, meta={"as_of": END - 2 * WEEK})


def test_drift_planted_in_three_features_is_found_in_these_three(trained: Run) -> None:
    planted = {"item_wanted_30d", "item_idle_days", "item_users"}

    def breaking(columns: dict[str, Any]) -> None:
        columns["item_wanted_30d"][::2] = np.nan
        columns["item_idle_days"] += 100
        columns["item_users"] *= 5

    with broken_item_table(trained, breaking):
        found = drift_of(trained)
    drifted = set(found["drifted"])
    assert planted <= drifted <= planted | FOLLOWS, found["drifted"]
    gaps = found["features"]["item_wanted_30d"]
    assert gaps["missing_training"] == 0.0 and 0.3 < gaps["missing_last_day"] < 0.7
    page = (trained.local("drift") / "report.html").read_text(encoding="utf-8")
    assert f"Drift: {len(drifted)} of" in page and len(page) < 500_000
    assert json.loads((trained.local("drift") / "drift.json").read_text())["drifted"] == found["drifted"]
    assert not set(drift_of(trained)["drifted"]), "the whole table is there again"


def test_a_day_of_bursts_shows_in_what_visitors_did_and_not_in_items(
    shop_log: Path, tmp_path: Path, run_at: Callable[..., Run], small_recipe: Callable[[FolderObjects], None]
) -> None:
    """Every event of the last day is seen six times within a minute, as by a broken page."""
    lines = (shop_log / "events.csv").read_text().splitlines()
    burst = tmp_path / "shop"
    burst.mkdir()
    with (burst / "events.csv").open("w") as file:
        file.write("\n".join(lines) + "\n")
        for line in lines[1:]:
            ts, rest = line.split(",", 1)
            if END - DAY_MS <= int(ts) < END - 1:
                file.writelines(f"{int(ts) - 10_000 * again},{rest}\n" for again in range(1, 6))
    run = run_at(tmp_path / "home", data=str(burst), as_of=END)
    small_recipe(run.objects)
    for name in ("extract", "validate", "prepare", "ranker"):
        run_step(SCENARIO.step(name), run)
    found = drift_of(run)
    assert found["training_visitors"] >= LEAST_WEEKS * LEAST_VISITORS, "tables that the ranker did not need are made"
    assert {"visitor_events_hour", "visitor_events_day"} <= set(found["drifted"])
    assert not [name for name in found["drifted"] if name.startswith(("item_", "category_"))], found["drifted"]


def test_a_tiny_log_is_not_judged_and_its_training_goes_on(
    tiny_log: Path, tmp_path: Path, run_at: Callable[..., Run]
) -> None:
    columns = (
        "user=customer,item=sku,event=type,timestamp=ts,event.view=look,event.addtocart=basket,event.transaction=paid"
    )
    run = run_at(tmp_path / "home", data=str(tiny_log), columns=columns)
    done = {one.step: one.result for one in train(SCENARIO, run)}
    assert done["drift"]["drift"]["judged"] is False and "too short" in done["drift"]["drift"]["why"]
    assert done["drift"]["drift"]["features"] == {} and done["promote"]["promoted"]
    assert any(note.startswith("Not judged: the log is too short") for note in run.facts["notes"])
    assert [path.read_text()[:15] for path in tmp_path.rglob("drift/report.html") if "registry" in path.parts] == [
        "<!doctype html>"
    ]


def test_without_a_ranker_features_and_popularity_are_judged(trained: Run) -> None:
    whole = read_model(trained.local("ranker"))
    arrays, files = dict(whole.arrays), {name: path.read_bytes() for name, path in whole.files.items()}
    with trained.writing("ranker") as folder:
        write_model(folder, arrays={}, files={}, meta={"learned": False, "why": "a test"})
    try:
        found = drift_of(trained)
    finally:
        scratch = trained.objects.root.parent / "again"
        scratch.mkdir()
        for name, content in files.items():
            (scratch / name).write_bytes(content)
        with trained.writing("ranker") as folder:
            write_model(folder, arrays=arrays, files={name: scratch / name for name in files}, meta=whole.meta)
    assert found["judged"] and "score" not in found["features"]
    assert {"popularity", "candidate_popularity", "visitor_items"} <= set(found["features"])
