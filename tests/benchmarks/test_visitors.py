"""The visitors: what was planted is in the plan, a real run on a small trained world counts the same on both sides."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.machine import machine
from benchmarks.results import store
from benchmarks.visitors import drive, report
from benchmarks.visitors.counters import Scrape, compare
from benchmarks.visitors.drive import Phase, phases_of, settings_of
from benchmarks.visitors.plan import MOST_VIEWS, Shape, draw, known_users
from benchmarks.world import World, open_world, train
from vitrina.candidates.als import ALS
from vitrina.events.ids import IdMap
from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world
from vitrina.features.history import Histories
from vitrina.ranking.catboost_ranker import CatBoostRanker
from vitrina.recommend.recommender import Catalogue
from vitrina.recommend.sources import Sources
from vitrina.recommend.two_stage import TwoStage
from vitrina.serving.lists import Lists, write_lists
from vitrina.storage.objects import FolderObjects

USERS, ITEMS = 60, 40


@dataclass(frozen=True)
class Shelf:
    """What the plan asks of a recommender: the items and their categories."""

    items: IdMap
    catalogue: Catalogue


def shelf_world(folder: Path, *, text: bool = False) -> World:
    """User row r has (r * 7) % 60 + 1 events; even rows have a list. Item 0 is in half of the events, without a
    category; the others are in category 5.
    """
    events = np.arange(USERS) * 7 % USERS + 1
    total = int(events.sum())
    items = np.where(np.arange(total) % 2 == 0, 0, np.arange(total) % ITEMS).astype(np.int32)
    write_lists(
        folder,
        version="a",
        model_version="1",
        items_fingerprint="f",
        as_of=1,
        users=IdMap([f"u{n:02d}" for n in range(USERS)]) if text else IdMap(np.arange(100, 100 + USERS)),
        list_row=np.where(np.arange(USERS) % 2 == 0, 0, -1).astype(np.int32),
        list_items=np.array([[1, 2]], np.int32),
        list_scores=np.ones((1, 2), np.float32),
        histories=Histories(
            indptr=np.concatenate([[0], np.cumsum(events)]).astype(np.int64),
            items=items,
            kinds=np.zeros(total, np.int8),
            ts=np.zeros(total, np.int64),
        ),
    )
    shelf = Shelf(
        items=IdMap(np.arange(900, 900 + ITEMS)),
        catalogue=Catalogue(
            category=np.where(np.arange(ITEMS) == 0, -1, 0).astype(np.int32),
            categories=np.array([5], np.int64),
            parent=np.array([-1], np.int32),
            available=np.ones(ITEMS, np.bool_),
        ),
    )
    return World(home=folder, told="a shelf", recommender=shelf, lists=Lists.open(folder))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shelf_world(tmp_path_factory.mktemp("shelf"))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.6])
def test_visitors_follow_the_planted_power_law(shelf: World, rng: np.random.Generator, exponent: float) -> None:
    counts = np.bincount(known_users(shelf, exponent, 200_000, rng), minlength=USERS)
    activity = np.diff(shelf.lists.histories.indptr)
    by_rank = counts[np.argsort(-activity)]
    slope, _ = np.polyfit(np.log(np.arange(1, 21)), np.log(by_rank[:20]), 1)
    assert slope == pytest.approx(-exponent, abs=0.05)
    assert by_rank.min() > 0


def test_the_planted_shares_are_met(shelf: World) -> None:
    shape = Shape(cold_share=0.3, exclude_share=0.2, filter_share=0.1, similar_share=0.25, views=2.5)
    visits = draw(shelf, shape, 4_000, seed=1)
    assert np.mean([visit.user < 0 for visit in visits]) == pytest.approx(0.3, abs=0.03)
    kinds = Counter(one.kind for visit in visits for one in visit.requests)
    views = kinds["session"] + kinds["exclude"] + kinds["filter"]
    assert kinds["landing"] == 4_000
    assert views / 4_000 == pytest.approx(2.5, abs=0.1)
    assert kinds["exclude"] / views == pytest.approx(0.2, abs=0.02)
    assert kinds["filter"] / views == pytest.approx(0.1, abs=0.02)
    assert kinds["similar"] / views == pytest.approx(0.25, abs=0.02)
    assert sum(kinds.values()) / 4_000 == pytest.approx(shape.requests, rel=0.03)
    pauses = [one.pause for visit in visits for one in visit.requests if one.kind not in ("landing", "similar")]
    assert np.mean(pauses) == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("text", [False, True])
def test_strangers_are_nobody_and_the_sources_follow_from_who_asks(tmp_path: Path, text: bool) -> None:
    world = shelf_world(tmp_path, text=text)
    strangers = set()
    for visit in draw(world, Shape(cold_share=0.5), 300, seed=2):
        landing, *others = visit.requests
        user = landing.path.partition("user_id=")[2].partition("&")[0]
        assert (world.lists.row_of(user) < 0) == (visit.user < 0) == landing.cold
        expected = "popular" if visit.user < 0 else "precomputed" if visit.user % 2 == 0 else "history"
        assert landing.source == expected
        assert {one.source for one in others if one.kind != "similar"} == {"session"}
        strangers.update({user} if visit.user < 0 else ())
    assert len(strangers) > 100, "every stranger comes once"


def test_a_session_grows_by_one_view_at_a_time(shelf: World) -> None:
    for visit in draw(shelf, Shape(exclude_share=0.5, filter_share=0.5), 200, seed=3):
        landing, *others = visit.requests
        assert landing.body == ""
        bodies = [json.loads(one.body) for one in others if one.kind != "similar"]
        sessions = [body["session"] for body in bodies]
        assert [len(session) for session in sessions] == list(range(1, len(sessions) + 1))
        assert len(sessions) <= MOST_VIEWS
        assert all(sessions[-1][: len(session)] == session for session in sessions)
        for body in bodies:
            rules = {"exclude": body.get("exclude"), "filter": body.get("filter")}
            assert rules["exclude"] == body["session"][-5:] or rules["filter"] in ({"available": True}, {"category": 5})
            assert rules["filter"] != {"category": 5} or body["session"][-1] != 900, "item 0 has no category"


def test_items_are_viewed_as_often_as_the_log_names_them(shelf: World) -> None:
    views = [
        json.loads(visit.requests[-1].body)["session"] for visit in draw(shelf, Shape(similar_share=0.0), 2_000, seed=4)
    ]
    assert np.mean([item == 900 for session in views for item in session]) == pytest.approx(0.51, abs=0.03)


def test_a_seed_repeats_the_plan(shelf: World) -> None:
    assert draw(shelf, Shape(), 50, seed=5) == draw(shelf, Shape(), 50, seed=5) != draw(shelf, Shape(), 50, seed=6)


def test_phases_follow_each_other_with_plays_of_their_own() -> None:
    shape = Shape()
    found = settings_of(shape, phases_of(98.0, spike=3.0, seconds=60.0))["phases"]
    assert [(one["name"], one["begin"], one["seconds"]) for one in found] == [
        ("ramp", 0.0, 10.0),
        ("steady", 10.0, 30.0),
        ("spike", 40.0, 10.0),
        ("after", 50.0, 10.0),
    ]
    assert [one["visits_to"] for one in found] == [1200, 1200, 3600, 1200], "20 visits a second of 4.9 requests each"
    for before, after in pairwise(found):
        visits = before["seconds"] * (before["visits_from"] + before["visits_to"]) / 2 / 60
        assert after["first"] - before["first"] >= visits


SCRAPE = """
vitrina_http_requests_total{{route="/recommendations",status="200"}} {all}
vitrina_http_requests_total{{route="/recommendations",status="422"}} {refused}
vitrina_http_request_duration_seconds_count{{route="/recommendations"}} {all}
vitrina_recommendations_total{{scenario="storefront",source="session"}} {session}
vitrina_recommendations_total{{scenario="basket",source="session"}} 0
vitrina_recommendations_total{{scenario="storefront",source="popular"}} {popular}
vitrina_cold_users_total{{scenario="storefront"}} {popular}
vitrina_requested_items_count{{scenario="storefront"}} {all}
vitrina_requested_items_sum{{scenario="storefront"}} {items}
vitrina_recommended_items_total{{scenario="storefront",source="session"}} {items}
"""
PLAYED = {
    "requests": 8.0,
    "status_200": {"/recommendations": 8.0, "/similar_items": 0.0},
    "answers": {"session": 5.0, "popular": 3.0, "none": 0.0},
    "cold_answers": 3.0,
    "asked_items": 80.0,
    "given_items": 80.0,
}


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({}, []),
        ({"refused": 4}, []),
        ({"session": 106}, ["answers from session"]),
        ({"items": 1079}, ["items asked for", "items answered"]),
    ],
)
def test_one_count_too_many_is_told(more: dict[str, int], wrong: list[str]) -> None:
    before = Scrape([SCRAPE.format(all=100, refused=4, session=100, popular=50, items=1000)])
    grown = {"all": 108, "refused": 4, "session": 105, "popular": 53, "items": 1080} | more
    found = compare(before, Scrape([SCRAPE.format(**grown)]), PLAYED)
    assert [one.what for one in found if not one.agrees] == wrong
    told = {
        "limits": [],
        "counters": [{"what": one.what, "visitors": 1, "service": 2, "agrees": False} for one in found],
    }
    assert len(report.faults(told)) == len(found)


def test_several_replicas_are_summed() -> None:
    one, other = 'vitrina_errors_total{kind="a"} 2\n', 'vitrina_errors_total{kind="b"} 3\n'
    both = Scrape([one, other])
    assert (both.sum("vitrina_errors_total"), both.sum("vitrina_errors_total", kind="b")) == (5, 3)
    assert both.by("vitrina_errors_total", "kind") == {"a": 2, "b": 3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A generated shop of 300 visitors with a quickly trained champion and its lists."""
    home, data = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("data") / "world"
    generate_world(WorldSpec(events=8_000, users=300, items=250, days=70, seed=3), data)
    small = TwoStage(
        sources=Sources(als=ALS(factors=8, iterations=3)),
        ranker=CatBoostRanker(losses=("Logloss",), iterations=15, depth=3),
        groups=300,
    )
    recipe = json.dumps(small.as_json()).encode()
    FolderObjects(home / "objects").put_bytes("storefront/recipe.json", recipe)
    train(data, home)
    return open_world(home, tmp_path_factory.mktemp("scratch"))


@pytest.mark.slow
def test_a_real_run_counts_the_same_on_both_sides(trained: World, tmp_path: Path) -> None:
    phases = [
        Phase(name="steady", seconds=3.0, rate_from=20, rate_to=60, p99_ms=5_000),
        Phase(name="spike", seconds=1.5, rate_from=150, rate_to=150, p99_ms=0.001),
    ]
    shape = Shape(pause_seconds=0.1, cold_share=0.25)
    found = drive.run(trained, tmp_path, shape, phases, workers=2, seed=1)

    assert [one["what"] for one in found["counters"] if not one["agrees"]] == []
    assert len(found["counters"]) == 13
    assert found["answers"] == found["planned"] and found["elsewhere"] == 0
    assert {name for name, count in found["answers"].items() if count} == {"precomputed", "session", "popular"} | (
        {"history"} if found["planned"]["history"] else set()
    )
    assert found["requests"] == sum(found["status_200"].values()) > 150
    assert found["requests"] == sum(met["count"] for met in found["by_kind"].values())
    assert found["requests"] == sum(met["count"] for met in found["by_phase"].values())
    assert all(found["by_kind"][kind]["count"] for kind in ("landing", "session", "exclude", "filter", "similar"))
    assert 0.1 < found["cold_answers"] / sum(found["answers"].values()) < 0.4
    assert found["fallbacks"]["unknown_user"] == found["planned"]["popular"]
    assert found["dropped_visits"] == 0
    assert report.faults(found) == ["http_req_duration{phase:spike}: p(99)<=0.001 was not kept"], "the planted one"

    store(tmp_path, "visitors", {"machine": machine("2015-09-18"), **found}, report.tables(found))
    page = (tmp_path / "visitors.md").read_text()
    assert "| spike |" in page and "| answers from session |" in page and "p(99)<=0.001 | NO |" in page


def test_a_missing_k6_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, on_the_path = tmp_path / "beside" / "k6", tmp_path / "path" / "k6"
    for program in (beside, on_the_path):
        program.parent.mkdir()
        program.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(beside.with_name("python")))
    monkeypatch.setenv("PATH", str(on_the_path.parent))
    assert drive.find_k6() == str(beside)
    beside.unlink()
    assert drive.find_k6() == str(on_the_path)
    on_the_path.unlink()
    with pytest.raises(SystemExit, match=r"requirements-dev\.txt"):
        drive.find_k6()
