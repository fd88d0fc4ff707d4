"""Shops with too few baskets to judge a model of carts on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trainings import model_of, results

from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.scenarios import Run
from vitrina.scenarios.basket import SCENARIO
from vitrina.scenarios.basket_champion import recommend

RunAt = Callable[..., Run]


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 baskets."""
    folder = tmp_path_factory.mktemp("sales")
    generate_baskets(BasketSpec(baskets=60, products=120, customers=300, months=6, seed=3), folder)
    return folder / SALES_FILE


@pytest.fixture(scope="module")
def basket_at(run_at: RunAt) -> RunAt:
    """A run of this scenario."""

    def build(home: Path, **asked: Any) -> Run:
        return replace(run_at(home, **asked), scenario=SCENARIO.name)

    return build


def test_too_few_baskets_publish_popular_and_say_so(tmp_path: Path, basket_at: RunAt, sales: Path) -> None:
    run = basket_at(tmp_path / "home", data=str(sales))
    done = results(run)
    assert done["companions"]["learned"] is False and "too few baskets" in done["companions"]["why"]
    assert done["evaluate"]["winner"] == done["register"]["winner"] == "popular"
    assert done["promote"]["champion"] == "1"
    assert "nothing can be judged" in (run.local("evaluation") / "table.md").read_text()
    answer = recommend(run, None, k=3, session=[])
    assert answer["sources"] == ["popular"] * 3 and answer["model_version"] == "1"


def test_a_home_may_be_called_like_a_pattern(tmp_path: Path, basket_at: RunAt, sales: Path) -> None:
    done = results(basket_at(tmp_path / "ho[1]me", data=str(sales)))
    assert done["prepare"]["rows_out"] == 60 and done["promote"]["promoted"]


def test_a_shop_too_small_to_judge_gets_its_next_model(tmp_path: Path, basket_at: RunAt, sales: Path) -> None:
    run = basket_at(tmp_path / "home", data=str(sales))
    results(run)
    results(run)
    assert [one.version for one in run.registry.versions()] == ["1"]  # the same sales are the same model
    with sales.open(encoding="utf-8") as file:
        lines = file.readlines()
    header = lines[0].strip().split(",")
    new = ",".join(
        {"InvoiceNo": "999999", "StockCode": "99999", "InvoiceDate": "2011-06-30 10:00:00"}.get(name, "1")
        for name in header
    )
    grown = tmp_path / "grown.csv"
    grown.write_text("".join([*lines, f"{new}\n"]), encoding="utf-8")
    done = results(replace(run, data=str(grown)))
    assert done["evaluate"]["gate"]["outcome"] == "promoted"
    assert done["promote"] == {"promoted": True, "champion": "2", "before": "1"}
    assert "99999" in CompanionsModel.load(model_of(run, tmp_path, "2")).codes
    waits = results(replace(run, challenger=True))
    assert waits["promote"] == {"promoted": False, "challenger": "3", "champion": "2"}
    assert run.registry.promote().version == "3"
