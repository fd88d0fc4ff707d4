"""The first steps of a shop's sales: taken, made baskets of, cut by time; faults in the caller's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vitrina.errors import ConfigError, DataError
from vitrina.events.synthetic_baskets.generator import BasketSpec, generate_baskets
from vitrina.pipeline import run_step
from vitrina.scenarios import Run
from vitrina.scenarios.basket_data import opened
from vitrina.scenarios.prepared import fingerprint_of
from vitrina.scenarios.scenario import Step

RunAt = Callable[..., Run]
STEPS = {
    name: Step(name=name, inputs=(), outputs=(), function=f"vitrina.scenarios.basket_data:{name}")
    for name in ("extract", "validate", "prepare")
}
DAY = 86_400_000


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated shop of eight months."""
    out = tmp_path_factory.mktemp("shop") / "raw"
    generate_baskets(BasketSpec(baskets=2_000, products=200, customers=80, months=8, seed=3), out)
    return out


@pytest.fixture
def asked(run_at: RunAt, tmp_path: Path) -> Callable[..., Run]:
    def build(data: Path | str | None, **more: object) -> Run:
        given = None if data is None else str(data)
        return replace(run_at(tmp_path / "home", data=given, **more), scenario="basket")

    return build


def through(run: Run) -> dict[str, dict[str, object]]:
    """Runs the steps and gives their results."""
    return {name: run_step(step, run).result for name, step in STEPS.items()}


def test_sales_are_taken_validated_and_cut_by_time(sales: Path, asked: Callable[..., Run]) -> None:
    run = asked(sales)
    told = through(run)
    assert told["extract"]["file"] == "baskets.csv"
    assert told["validate"]["baskets"] == 2_000
    rejected = told["validate"]["rejected"]
    assert isinstance(rejected, dict) and rejected["codes that are no products"] > 10
    baskets, split = opened(run)
    assert len(baskets) == told["prepare"]["rows_out"] == 2_000
    assert split.judges and baskets.ts[0] < split.validation < split.test < split.end == baskets.ts[-1] + 1
    cut = [
        len(baskets.of_size(2).between(*span)) for span in ((None, split.validation), (split.validation, split.test))
    ]
    assert [told["prepare"]["learned"], told["prepare"]["validation"]] == cut
    assert any("2,000 baskets" in note for note in run.facts["notes"])


def test_later_sales_are_left_out(sales: Path, asked: Callable[..., Run]) -> None:
    run = asked(sales / "baskets.csv")
    through(run)
    whole, split = opened(run)
    told = through(replace(run, as_of=split.test))
    early, before = opened(run)
    assert before.end <= split.test and early.ts[-1] < split.test
    assert len(early) == len(whole.between(None, split.test)) == told["prepare"]["rows_out"]
    assert told["prepare"]["rows_in"] == 2_000


def test_what_is_first_sold_later_is_not_known(asked: Callable[..., Run], tmp_path: Path) -> None:
    days = [datetime(2011, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(200)]
    rows = [(n, code, f"c{n % 7}", day) for n, day in enumerate(days) for code in ("aa", "bb")]
    rows += [(195, "late", "c6", days[195]), (198, "aa", "new", days[198]), (170, "mid", "c2", days[170])]
    lines = [f"{n},{code},{code},{who},{day:%Y-%m-%d}" for n, code, who, day in rows if n != 198 or who == "new"]
    sales = tmp_path / "sales.csv"
    sales.write_text("\n".join(["InvoiceNo,StockCode,Description,CustomerID,InvoiceDate", *lines]) + "\n")
    through(run := asked(sales))
    whole, split = opened(run)
    assert (whole.codes, "new" in whole.customers, len(whole.customers)) == (("AA", "BB", "LATE", "MID"), True, 8)
    through(replace(run, as_of=int(days[190].timestamp()) * 1000))
    early, split = opened(run)
    assert (early.codes, early.descriptions, len(early.customers)) == (("AA", "BB", "MID"), ("aa", "bb", "mid"), 7)
    assert int(early.ts[170]) >= split.test and early.codes[early.items[-1]] == "BB"
    assert early.between(None, split.test).codes == early.codes, "what the test period alone has is judged as before"


def test_the_fingerprint_is_that_of_the_sales(sales: Path, asked: Callable[..., Run], tmp_path: Path) -> None:
    run = asked(sales)
    through(run)
    first = fingerprint_of(run)
    lines = (sales / "baskets.csv").read_text().splitlines()
    (tmp_path / "again.csv").write_text(";".join(lines[0].split(",")) + "\n" + "\n".join(lines[1:]).replace(",", ";"))
    through(replace(run, data=str(tmp_path / "again.csv")))
    assert fingerprint_of(run) == first
    (tmp_path / "less.csv").write_text("\n".join(lines[:-40]) + "\n")
    through(replace(run, data=str(tmp_path / "less.csv")))
    assert fingerprint_of(run) != first


def test_a_small_undated_log_says_that_it_cannot_be_judged(asked: Callable[..., Run], tmp_path: Path) -> None:
    rows = [f"{n},{code},{code},7" for n in range(40) for code in ("aa", "bb")]
    (tmp_path / "sales.csv").write_text("\n".join(["order,sku,Description,CustomerID", *rows]) + "\n")
    run = asked(tmp_path / "sales.csv", columns="InvoiceNo=order,StockCode=sku")
    assert through(run)["prepare"]["judges"] is False
    assert any("too few baskets" in note for note in run.facts["notes"])
    assert run_step(STEPS["prepare"], replace(run, as_of=5)).result["rows_out"] == 40, "a schedule always gives an end"
    assert "no InvoiceDate, so --as-of cannot end them" in run.facts["notes"][-2]


def test_faults_are_told_in_the_callers_words_and_leave_what_was_there(
    sales: Path, asked: Callable[..., Run], tmp_path: Path
) -> None:
    run = asked(sales)
    through(run)
    broken = tmp_path / "shop" / "sales.xlsx"
    broken.parent.mkdir()
    broken.write_bytes(b"PK\x03\x04 cut")
    for given in (broken, broken.parent):
        with pytest.raises(DataError, match="the workbook is broken") as raised:
            through(replace(run, data=str(given)))
        assert raised.value.where == str(broken)
    assert len(opened(run)[0]) == 2_000
    for data, columns, words in (
        (None, None, "--data PATH"),
        (tmp_path / "nowhere.csv", None, "there is no such file or folder"),
        (sales, "user=id", "--columns: 'user'"),
    ):
        with pytest.raises((ConfigError, DataError), match=words):
            run_step(STEPS["extract"], asked(data, columns=columns))
