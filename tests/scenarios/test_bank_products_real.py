"""The bank's scenario on the public extracts, from the command line: acquisitions of 17 months, and a month of rows."""

from __future__ import annotations

import csv
import json
import signal
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vitrina.cli import main
from vitrina.events.panels.columns import CUSTOMER_COLUMN, PANEL_FILE, PRODUCTS, PROFILE
from vitrina.ranking.multi_output_propensity import MultiOutputPropensity
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.scenarios import bank_recipes
from vitrina.scenarios.bank_recipes import Recipe

SMALL = {
    "lags": {
        "lags": Recipe.of(ProductPropensity(iterations=40)),
        "multi_output": Recipe.of(MultiOutputPropensity(iterations=10, depth=4, rows_at_most=20_000)),
    }
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setenv("VITRINA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(bank_recipes, "RECIPES", SMALL)
    yield tmp_path / "home"
    signal.signal(signal.SIGINT, before)


def vitrina(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vitrina", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_the_acquisitions_of_real_customers(
    data_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vitrina(monkeypatch, "train", "bank_products", "--data", data_dir / "santander") == 0
    out, err = capfd.readouterr()
    assert "no profile columns" in err and "no drops" in err
    assert "champion: version 1" in out and "| popularity |" in out and "| constant |" in out
    assert "**ever_bought" in out and "looking at the answers" in out
    assert vitrina(monkeypatch, "evaluate", "bank_products", "--json") == 0
    models = json.loads(capfd.readouterr().out)["cohorts"]["all_customers"]["models"]
    assert set(models) == {"candidate", "multi_output", "popularity", "constant"}
    lead = models["candidate"]["map@7 over popularity"]
    assert 0 < lead["low"] < lead["mean"] < lead["high"]
    assert models["constant"]["map@7 over popularity"]["high"] < 0
    assert len(list(home.glob("mlartifacts/*/artifacts/data/sample.csv"))) == 1


def test_a_month_of_real_rows_is_parsed_without_loss_and_says_what_is_missing(
    data_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = data_dir / "santander" / "train_ver2_sample.csv"
    assert vitrina(monkeypatch, "train", "bank_products", "--data", file) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {file}: ") and "Give more months of the panel" in error
    (panel,) = (home / "objects" / ".folders" / "bank_products~validated").glob(f"*/{PANEL_FILE}")
    table = {row["customer"]: row for row in pq.read_table(panel).to_pylist()}
    with file.open(newline="", encoding="utf-8") as lines:
        raw = [{name: value.strip() for name, value in row.items()} for row in csv.DictReader(lines)]
    assert len(raw) == len(table) == 999
    for given in raw:
        row = table[int(given[CUSTOMER_COLUMN[0]])]
        for column in PROFILE:
            text, value = given[column.raw], row[column.name]
            if text in ("", "NA"):
                assert value is None, column
            elif column.kind == "number":
                assert value == float(text), column
            elif column.kind == "date":
                assert value == (date.fromisoformat(text) - date(1970, 1, 1)).days, column
            else:
                assert value == text.removesuffix(".0"), column
        for place, product in enumerate(PRODUCTS):
            text = given[product.code]
            assert row["known"] >> place & 1 == (text not in ("", "NA")), product
            assert row["owned"] >> place & 1 == (text not in ("", "NA", "0", "0.0")), product
