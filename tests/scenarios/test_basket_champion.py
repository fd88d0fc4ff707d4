"""The champion of carts on the command line: one cart, a file of carts, and later sales, by what the model says."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError, NoChampionError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run
from vitrina.scenarios.basket_champion import batch, recommend, score
from vitrina.scenarios.basket_recipes import KNOWN

SPEC = BasketSpec(baskets=800, products=60, customers=80, months=4, seed=3)


@pytest.fixture(scope="module")
def baskets(tmp_path_factory: pytest.TempPathFactory) -> Baskets:
    """A generated shop's sales, read."""
    root = tmp_path_factory.mktemp("shop")
    generate_baskets(SPEC, root / "sales")
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        read_baskets(root / "sales" / SALES_FILE, root / "validated", engine)
    return Baskets.open(root / "validated")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, run_at: Callable[..., Run], baskets: Baskets) -> Run:
    """A run whose champion learned from them."""
    home = tmp_path_factory.mktemp("home")
    run = replace(run_at(home), scenario="basket")
    model = KNOWN["ease"].fit(baskets, int(baskets.ts[-1]) + 1, threads=1)
    KNOWN["ease"].write(model, home / "model", meta={})
    run.registry.promote(run.registry.register(home / "model", RunRecord(fingerprint="f")).version)
    return run


def test_a_cart_is_answered(run: Run, baskets: Baskets) -> None:
    one, two = baskets.codes[:2]
    answer = recommend(run, baskets.customers[0], k=3, session=[one.lower(), f"{two}.0", "nothing"])
    assert len(answer["recs"]) == len(answer["titles"]) == len(answer["scores"]) == 3
    assert answer["sources"] == ["cart"] * 3 and answer["unknown"] == ["nothing"]
    assert set(answer["because"]) <= {one, two, None} and not {one, two} & set(answer["recs"])
    assert answer["titles"] == [baskets.descriptions[baskets.codes.index(code)] for code in answer["recs"]]


def test_every_cart_of_a_file_gets_what_the_model_says(run: Run, baskets: Baskets, tmp_path: Path) -> None:
    (one, two), customer = baskets.codes[:2], baskets.customers[0]
    carts = tmp_path / "carts.csv"
    lines = [f";{one};b", f"{customer}.0;nothing;a", f";{two};b", ";nothing;c", f"{customer};;d"]
    carts.write_text("\n".join(["CustomerID;StockCode;InvoiceNo", *lines]))
    told = batch(run, carts, tmp_path / "out.csv", k=2, new_only=False)
    assert (told["carts"], told["unknown_products"]) == (4, 1)
    assert told["answered_from"] == {"cart": 1, "history": 2, "popular": 1}
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["cart"], row["rank"]) for row in rows] == [(cart, rank) for cart in "bacd" for rank in "12"]
    for cart, whose, products in (("b", None, [one, two]), ("a", customer, []), ("c", None, []), ("d", customer, [])):
        asked = recommend(run, whose, k=2, session=products)
        mine = [row for row in rows if row["cart"] == cart]
        assert [row["product"] for row in mine] == asked["recs"]
        assert [float(row["confidence"]) for row in mine] == asked["scores"]
        assert [row["description"] for row in mine] == asked["titles"]
    batch(run, carts, tmp_path / "usual.csv", k=None, new_only=False)
    assert len((tmp_path / "usual.csv").read_text().splitlines()) == 1 + 4 * 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("InvoiceNo,StockCode\n", "no rows"),
        ("InvoiceNo,StockCode\n1,\n", "row 2: the product is empty"),
        ("InvoiceNo,StockCode\n1,a\n ,b\n", "row 3: the cart is empty"),
        ("StockCode\n1\n", "cart"),
        ("InvoiceNo,StockCode,CustomerID\n1,a,17\n1,b,\n1,c,18\n", "row 4: cart 1 has two customers, 17 and 18"),
    ],
)
def test_carts_that_cannot_be_read_leave_no_file(run: Run, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "carts.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        batch(run, tmp_path / "carts.csv", tmp_path / "out.csv", k=2, new_only=False)
    assert not (tmp_path / "out.csv").exists()


def test_one_customer_in_two_spellings_owns_a_cart_and_the_columns_are_called_as_in_sales(
    run: Run, baskets: Baskets, tmp_path: Path
) -> None:
    carts, customer = tmp_path / "carts.csv", baskets.customers[0]
    carts.write_text(f"Invoice No,Stock_Code,Customer ID\n1,nothing,{customer}\n1,nothing,{customer}.0\n")
    assert batch(run, carts, tmp_path / "out.csv", k=2, new_only=False)["answered_from"] == {"history": 1}


def test_sales_to_score_on_without_a_column_are_refused_with_a_way_out_that_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("InvoiceNo,sku,Description,CustomerID\n1,a,b,\n")
    with pytest.raises(DataError, match=r"no column StockCode.*Rename them in the file"):
        score(run, tmp_path / "sales.csv", k=3, new_only=False)


def test_who_asks_for_what_is_not_there_is_told(run: Run, run_at: Callable[..., Run], tmp_path: Path) -> None:
    for verb in (batch, lambda run, file, out, **asked: score(run, file, **asked)):
        with pytest.raises(ConfigError, match=r"--new-only.*Leave it out"):
            verb(run, tmp_path / "a.csv", tmp_path / "b.csv", k=2, new_only=True)
    with pytest.raises(NoChampionError, match="vitrina train basket"):
        recommend(replace(run_at(tmp_path / "new"), scenario="basket"), None, k=3, session=[])


def test_the_champion_is_scored_on_later_sales(run: Run, baskets: Baskets, tmp_path: Path) -> None:
    generate_baskets(replace(SPEC, baskets=200, start=SPEC.start + 120), tmp_path / "later")
    later = tmp_path / "later" / SALES_FILE
    notes: list[str] = []
    run = replace(run, note=notes.append)
    told = score(run, later, k=3, new_only=False)
    assert told["before_as_of"] == 0 and not notes
    assert told["unknown_products"] == 0 and 150 < told["baskets"] <= 200
    assert 0 < told["metrics"]["hr@3"] < told["metrics"]["hr@10"] < 1
    most = baskets.codes[int(np.bincount(baskets.items).argmax())]
    strange = tmp_path / "strange.csv"
    strange.write_text(later.read_text().replace(f",{most},", ",99999,"))
    assert most != "99999" and f",{most}," in later.read_text()
    worse = score(run, strange, k=3, new_only=False)
    assert worse["unknown_products"] == 1 and worse["metrics"]["hr@10"] < told["metrics"]["hr@10"]
    strange.write_text("\n".join(later.read_text().splitlines()[:2]) + "\n")
    with pytest.raises(DataError, match="no basket has two products"):
        score(run, strange, k=3, new_only=False)


def test_sales_that_the_champion_learned_from_are_told(run: Run, baskets: Baskets, tmp_path: Path) -> None:
    generate_baskets(SPEC, tmp_path / "same")
    same, notes = tmp_path / "same" / SALES_FILE, list[str]()
    told = score(replace(run, note=notes.append), same, k=3, new_only=False)
    assert told["before_as_of"] == told["baskets"] == len(baskets.of_size(2))
    assert len(notes) == 1 and notes[0].startswith(f"{told['baskets']} of {told['baskets']} baskets precede 2011-")
    generate_baskets(replace(SPEC, baskets=200, start=SPEC.start + 120), tmp_path / "later")
    later = (tmp_path / "later" / SALES_FILE).read_text().splitlines()
    same.write_text("\n".join([*same.read_text().splitlines(), *later[1:], ""]))
    half = score(replace(run, note=notes.append), same, k=3, new_only=False)
    assert 0 < half["before_as_of"] < half["baskets"]
    undated = same.read_text().replace("InvoiceDate", "When")
    same.write_text(undated)
    assert score(run, same, k=3, new_only=False)["before_as_of"] is None
