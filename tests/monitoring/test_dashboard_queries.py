"""Every question of every dashboard, on a real Prometheus and a real graphite-web that watched a real run."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from grafana.asking import Sources, Span, fill
from grafana.boards import BOARDS
from grafana.drawing import draw
from grafana.pictures import draw_all
from PIL import Image
from waiting import wait
from watched_shop import (
    BANK,
    BASKET,
    CART,
    CARTS,
    COLUMNS,
    COMPANIONS,
    DAY,
    EMPTY_CARTS,
    GUESSES,
    KNOWN,
    LOG_END,
    NO_TOKEN,
    ODD_CARTS,
    SESSIONS,
    SIMILAR,
    STRANGERS,
    WRONG,
    WatchedShop,
)

LOG_BEGIN = LOG_END - 90 * DAY
TOLD: dict[str, dict[str, Any]] = {board.name: json.loads(board.text()) for board in BOARDS}
PANELS = [
    pytest.param(board, panel, id=f"{board}: {panel['title']}")
    for board, told in TOLD.items()
    for panel in told["panels"]
    if panel["type"] != "row"
]

slow = pytest.mark.slow
pytestmark = pytest.mark.timeout(3600)  # the first test waits for three trainings


@pytest.fixture(scope="module")
def sources(shop: WatchedShop) -> Sources:
    """Where the dashboards ask; Graphite has all days of the log but the first, which may be cut off."""
    sources = Sources(shop.prometheus.url, shop.graphite.url)

    def days() -> int:
        found = sources.graphite_series("vitrina.storefront.day.views", span("business", shop))
        return len(found[0].points) if found else 0

    wait(lambda: days() >= shop.days - 2, otherwise=lambda: f"Graphite has {days()} days")
    return sources


def scrape_seconds(shop: WatchedShop) -> float:
    """Makes rates over 20 seconds, or more when the second round took longer, so that all of it falls into that."""
    return max(5, math.ceil((shop.watched_until - shop.asked_since) / 4))


def span(board: str, shop: WatchedShop) -> Span:
    """The two minutes before the last request was scraped, or more; for the business, since the log began."""
    end, seconds = shop.watched_until, scrape_seconds(shop)
    return Span(LOG_BEGIN if board == "business" else end - 24 * seconds, end, scrape_seconds=seconds)


def variables(board: str) -> list[dict[str, Any]]:
    return [one for one in TOLD[board]["templating"]["list"] if one["type"] == "query"]


def shown(shop: WatchedShop, sources: Sources, board: str, title: str, **chosen: list[str]) -> dict[str, float]:
    """The newest value of each series of a panel, by its name."""
    (panel,) = (one for one in TOLD[board]["panels"] if one["title"] == title and one["type"] != "row")
    found = sources.panel(panel, sources.choice(TOLD[board], span(board, shop), **chosen), span(board, shop))
    return {series.name: series.points[-1][1] for query in found for series in query}


@slow
@pytest.mark.parametrize("board", TOLD)
def test_every_variable_offers_what_there_is(shop: WatchedShop, sources: Sources, board: str) -> None:
    scenarios = {"pipeline": ["bank_products", "basket", "storefront"], "business": ["storefront"]}
    expected = {
        "scenario": scenarios.get(board, ["basket", "storefront"]),
        "replica": [f"127.0.0.1:{shop.port}"],
        "version": ["1"],
        "metric": ["hr@10", "hr@100", "map@10", "ndcg@10", "precision@10", "recall@10"],
    }
    for variable in variables(board):
        assert sources.values(variable, {"scenario": ["storefront"]}, span(board, shop)) == expected[variable["name"]]


@slow
@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_every_question_has_an_answer(shop: WatchedShop, sources: Sources, board: str, panel: dict[str, Any]) -> None:
    single = {"scenario": ["storefront"], "replica": [f"127.0.0.1:{shop.port}"], "version": ["1"]}
    for chosen in ({}, single):
        choice = sources.choice(TOLD[board], span(board, shop), **chosen)
        for target, found in zip(panel["targets"], sources.panel(panel, choice, span(board, shop)), strict=True):
            values = [value for series in found for _, value in series.points]
            assert values, f"no data under {choice}: {target}"
            assert not all(math.isnan(value) for value in values), f"nothing but NaN under {choice}: {target}"


@slow
@pytest.mark.parametrize("board", TOLD)
def test_every_mark_is_a_question_that_prometheus_understands(shop: WatchedShop, sources: Sources, board: str) -> None:
    end = shop.watched_until
    for mark in TOLD[board]["annotations"]["list"]:
        query = fill(mark["expr"], {"scenario": ["storefront"]}, span(board, shop))
        found = sources.series(query, {"start": end - 30, "end": end, "step": 1})
        if mark["useValueForTime"]:
            times = {value / 1000 for series in found for _, value in series.points}
            assert times and all(end - 600 < at < end for at in times), mark["name"]


@slow
def test_what_is_shown_is_what_happened(shop: WatchedShop, sources: Sources) -> None:
    assert shown(shop, sources, "service", "Replicas up") == {"": 1}
    both = {"storefront v1": shop.workers, "basket v1": shop.workers}
    assert shown(shop, sources, "service", "Workers by model version") == both
    assert shown(shop, sources, "service", "Model served") == both
    assert shown(shop, sources, "service", "Workers") == {f"127.0.0.1:{shop.port}": shop.workers}
    assert shown(shop, sources, "pipeline", "Steps that failed last") == {"": 0}
    for scenario in ("storefront", "bank_products", "basket"):
        decisions = shown(shop, sources, "pipeline", "Decisions of the gate", scenario=[scenario])
        assert decisions == {"promoted": 1, "refused": 0}
    assert shown(shop, sources, "pipeline", "Scrapes") == {"app": 1, "pipeline": 1}
    assert shown(shop, sources, "model", "Drifted features") == {"": 0}
    assert shown(shop, sources, "service", "Server errors") == {"": 0}
    of_round = KNOWN + STRANGERS + SESSIONS
    cold = shown(shop, sources, "service", "Answers to strangers")["without a history"]
    assert cold == pytest.approx((STRANGERS + SESSIONS) / of_round, abs=0.05)
    mean = shown(shop, sources, "service", "Items asked for (k)", scenario=["storefront"])["mean"]
    assert mean == pytest.approx((KNOWN * 5 + (STRANGERS + SESSIONS) * 10) / of_round, abs=0.5)
    status = shown(shop, sources, "service", "Answers by status")
    every = of_round + SIMILAR + WRONG + BANK + BASKET
    assert status["422"] / sum(status.values()) == pytest.approx(WRONG / every, abs=0.005)
    day = sources.series("max(vitrina_day_timestamp_seconds)", {"time": shop.watched_until})[0].points[-1][1]
    assert shown(shop, sources, "business", "Day") == {"": day * 1000}


@slow
def test_both_dashboards_of_the_bank_show_what_was_answered(shop: WatchedShop, sources: Sources) -> None:
    assert shop.predicted.total() > 0
    expected = {column: float(shop.predicted[column]) for column in COLUMNS.values()}
    assert shown(shop, sources, "bank", "Positive answers by product") == expected
    assert shown(shop, sources, "bank-graphite", "Positive answers by product") == expected
    assert shown(shop, sources, "bank-graphite", "Positive answers so far") == {"all products": shop.predicted.total()}
    assert shown(shop, sources, "bank-graphite", "Requests so far") == {"requests": shop.bank_requests}
    assert shown(shop, sources, "bank", "Answers so far") == {"": shop.bank_requests}
    assert (
        shown(shop, sources, "bank", "Model") == shown(shop, sources, "bank-graphite", "Model") == {"v1": shop.workers}
    )
    assert shown(shop, sources, "bank", "Not answered with 200") == {"": 0}
    shares = shown(shop, sources, "bank", "Share of the positive answers")
    assert shares == pytest.approx({column: value / shop.predicted.total() for column, value in expected.items()})
    assert set(shown(shop, sources, "bank-graphite", "Answers by status")) == {"200"}
    quality = shown(shop, sources, "bank", "MAP@7 of the last training")
    assert set(quality) >= {"candidate", "popularity", "constant"}
    assert quality["candidate"] > quality["constant"] > 0


@slow
def test_the_dashboard_of_carts_shows_what_was_asked(shop: WatchedShop, sources: Sources) -> None:
    answers = CARTS + ODD_CARTS + EMPTY_CARTS
    assert shown(shop, sources, "basket", "Model") == {"v1": shop.workers}
    assert shown(shop, sources, "basket", "From the cart")[""] == pytest.approx(CARTS / answers, abs=0.02)
    by_source = shown(shop, sources, "basket", "Answers by source")
    assert by_source["popular"] / by_source["cart"] == pytest.approx((ODD_CARTS + EMPTY_CARTS) / CARTS, abs=0.05)
    reasons = shown(shop, sources, "basket", "Why not from the cart, share of answers")
    expected = {"unknown_products": ODD_CARTS / answers, "empty_cart": EMPTY_CARTS / answers}
    expected |= {"nothing_goes_with_it": 0, "source_failed": 0}
    assert reasons == pytest.approx(expected, abs=0.02)
    in_carts = CARTS * CART + ODD_CARTS
    unknown = shown(shop, sources, "basket", "Unknown products")[""]
    assert unknown == pytest.approx((CARTS + ODD_CARTS) / in_carts, abs=0.02)
    mean = shown(shop, sources, "basket", "Products in the carts")["mean"]
    assert mean == pytest.approx(in_carts / answers, abs=0.1)
    asked = shown(shop, sources, "basket", "Companions asked for (n)")["mean"]
    assert asked == pytest.approx((COMPANIONS * (answers - 1) + 20) / answers, abs=0.2)
    refused = shown(shop, sources, "basket", "Not answered with 200")[""]
    assert refused == pytest.approx(NO_TOKEN / (answers + NO_TOKEN), abs=0.01)
    assert 0 < shown(shop, sources, "basket", "Confidence of the first companion")["mean"] < 1
    sign_ins = shown(shop, sources, "basket", "Sign-ins")
    assert set(sign_ins) == {"done", "refused", "throttled", "failed"}
    assert sign_ins["refused"] / sign_ins["done"] == pytest.approx(GUESSES, abs=0.2)
    quality = shown(shop, sources, "basket", "NDCG@10 of the last training")
    assert quality["candidate"] > quality["popular"] > 0
    errors = shown(shop, sources, "basket", "Calibration error of the last training")
    assert set(errors) == set(quality) and all(0 < one < 0.2 for one in errors.values())


@slow
def test_the_days_in_graphite_are_those_of_the_log(shop: WatchedShop, sources: Sources) -> None:
    newest = shown(shop, sources, "business", "Visitors and views")
    assert newest["storefront.views"] == shown(shop, sources, "business", "Views")[""]
    assert newest["storefront.visitors"] == shown(shop, sources, "business", "Visitors")[""]
    rate = shown(shop, sources, "business", "From view to cart")["storefront.view_to_cart"]
    assert rate == pytest.approx(shown(shop, sources, "business", "View to cart")[""])
    assert rate == pytest.approx(
        shown(shop, sources, "business", "Carts")[""] / newest["storefront.views"],
    )


@slow
@pytest.mark.parametrize(
    ("board", "title", "chosen"),
    [
        ("service", "Requests by route", {"replica": ["10.0.0.1:8000"]}),
        ("service", "Requests by route", {"version": ["99"]}),
        ("service", "Answers by source", {"scenario": ["next_purchase"]}),
        ("service", "Answers by source", {"version": ["99"]}),
        ("service", "Memory", {"version": ["99"]}),
        ("pipeline", "Duration by step", {"scenario": ["next_purchase"]}),
        ("model", "Items by source", {"replica": ["10.0.0.1:8000"]}),
        ("model", "Furthest features, in limits", {"scenario": ["next_purchase"]}),
        ("business", "Carts and purchases", {"scenario": ["next_purchase"]}),
        ("bank", "Positive answers by product", {"replica": ["10.0.0.1:8000"]}),
        ("basket", "Answers by source", {"replica": ["10.0.0.1:8000"]}),
    ],
)
def test_another_choice_shows_nothing_of_this_shop(
    shop: WatchedShop, sources: Sources, board: str, title: str, chosen: dict[str, list[str]]
) -> None:
    assert shown(shop, sources, board, title) != {}
    assert shown(shop, sources, board, title, **chosen) == {}


def test_choices_are_written_as_grafana_writes_them() -> None:
    span = Span(0, 2400, steps=240, scrape_seconds=10)
    text = 'x{a=~"$a"}[$__rate_interval] $unknown'
    assert fill(text, {"a": ["1.5"]}, span) == r'x{a=~"1\\.5"}[40s] $unknown'
    assert fill(text, {"a": ["b", "c"]}, span) == 'x{a=~"(b|c)"}[40s] $unknown'
    assert fill(text, {"a": ".*"}, span, step=60) == 'x{a=~".*"}[70s] $unknown'
    assert fill("vitrina.$a.day", {"a": ["b", "c"]}, span, graphite=True) == "vitrina.{b,c}.day"
    assert fill("vitrina.$a.day", {"a": ["b"]}, span, graphite=True) == "vitrina.b.day"
    assert fill("sum(${a}x, ${b}x)", {"a": "bank.*."}, span, graphite=True) == "sum(bank.*.x, ${b}x)"


@slow
def test_every_dashboard_is_drawn_into_a_small_picture(shop: WatchedShop, sources: Sources, tmp_path: Path) -> None:
    scrapes = scrape_seconds(shop)
    seconds = time.time() - shop.watched_until + 24 * scrapes
    drawn = draw_all(sources, tmp_path, seconds=seconds, days=400, scrape_seconds=scrapes)
    assert [path.name for path in drawn] == [f"dashboard-{board.name}.png" for board in BOARDS]
    for path in drawn:
        with Image.open(path) as picture:
            assert len(picture.getcolors() or []) > 20, "nothing but paper"
        assert path.stat().st_size < 150_000


@slow
@pytest.mark.parametrize("board", TOLD)
def test_a_dashboard_without_any_data_is_drawn_as_well(
    shop: WatchedShop, sources: Sources, tmp_path: Path, board: str
) -> None:
    at = span(board, shop)
    nothing = {"scenario": ["next_purchase"], "replica": ["10.0.0.1:8000"], "version": ["99"], "metric": ["none"]}
    draw(TOLD[board], sources, at, nothing, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5_000
