"""The basket's benchmark: carts drawn from planted baskets, servers that have to answer alike, figures that follow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.basket import carts, serving, training
from benchmarks.basket.invoices import REAL, Invoices, as_workbook, cell, invoices
from benchmarks.basket.parts import BASKET
from benchmarks.load import Load
from benchmarks.machine import machine
from benchmarks.servers import running
from benchmarks.serving import Stretch
from vitrina.errors import DataError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.synthetic_baskets.generator import BasketSpec

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = """
import http.server, json, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        sent = self.rfile.read(int(self.headers["content-length"])).decode()
        right = self.path != "/token" or sent == "username=ann&password=a%2B+b"
        self.answer(json.loads(sys.argv[2])[self.path] if right else {"sent": sent})
    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""
WANTED = [(f"2200{n}", 0.5 - n / 20) for n in range(carts.N)]
OFFERED = [[code, "A LANTERN", confidence] for code, confidence in WANTED]
RESULT = {"recommendation": OFFERED, "source": "cart", "because": [None] * carts.N, "unknown_products": []}


@pytest.fixture
def answering(tmp_path: Path) -> Callable[..., Any]:
    def start(answers: dict[str, Any]) -> Any:
        command = [sys.executable, "-c", ANSWERS, "{port}", json.dumps(answers)]
        return running(command, ready="/", env=dict(os.environ), cwd=ROOT, log=tmp_path / "log.txt")

    return start


def test_carts_are_filled_from_baskets(baskets_of: Callable[..., Baskets], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carts, "POOL", 60)
    small = [[item] for item in range(20)]
    large = [range(20, 32), range(40, 52)]
    baskets = baskets_of([*small, *large], customer=[-1] * 21 + [0])
    drawn = carts.carts(baskets, np.random.default_rng(1))
    assert {len(set(one["product_list"])) for one in drawn} == {carts.CART} and {one["n"] for one in drawn} == {carts.N}
    assert len({tuple(sorted(one["product_list"])) for one in drawn}) > 50
    known = carts.carts(baskets, np.random.default_rng(1), customers=True)
    assert {one["customer_id"] for one in known} == {"17000"}
    assert {code for one in known for code in one["product_list"]} == {f"{20_040 + n}" for n in range(12)}


def test_servers_that_answer_something_else_are_not_compared(answering: Callable[..., Any]) -> None:
    document = {"product_list": ["85123A"], "n": carts.N}
    asks, flat = carts.send_data([document], "Bearer a.b"), carts.invocations([document])
    assert asks[0].authorization == "Bearer a.b"
    with answering({"/send_data": {"result": RESULT}, "/invocations": {"predictions": [RESULT]}}) as server:
        carts.check(server, asks, [WANTED])
        carts.check(server, flat, [WANTED])
        with pytest.raises(RuntimeError, match="instead of"):
            carts.check(server, asks, [WANTED[::-1]])
        with pytest.raises(RuntimeError, match="instead of"):
            carts.check(server, asks, [[(code, confidence + 0.01) for code, confidence in WANTED]])
    with (
        answering({"/send_data": {"result": RESULT | {"source": "popular"}}}) as server,
        pytest.raises(RuntimeError, match="10 companions from 'popular'"),
    ):
        carts.check(server, asks, [WANTED])


def test_a_token_is_asked_for_as_a_form(answering: Callable[..., Any]) -> None:
    with answering({"/token": {"access_token": "a.b.c", "token_type": "bearer"}}) as server:
        assert carts.sign_in(server, "ann", "a+ b") == "a.b.c"


def test_a_workbook_holds_what_the_file_does(tmp_path: Path) -> None:
    import python_calamine

    source = tmp_path / "invoices.csv"
    source.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID\n"
        '536365,85123A,"LANTERN, WHITE",6,2010-12-01 08:26:00,17850.0\nC1,22423,-RED-,-1,2010-12-01 08:26:00,\n'
    )
    book = python_calamine.CalamineWorkbook.from_path(as_workbook(source, tmp_path / "invoices.xlsx"))
    rows = book.get_sheet_by_index(0).to_python()
    assert rows[0][0] == "InvoiceNo"
    assert rows[1][:4] == [536365, "85123A", "LANTERN, WHITE", 6]
    assert [str(one) for one in rows[1][4:]] == ["2010-12-01 08:26:00", "17850.0"]
    assert rows[2][:4] == ["C1", 22423, "-RED-", -1] and rows[2][5] == ""
    assert (cell("12-A"), cell("1.5"), cell("1e")) == ("12-A", 1.5, "1e")


def test_invoices_that_are_not_there_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_DATA", str(tmp_path))
    monkeypatch.setattr("benchmarks.basket.invoices.BasketSpec", lambda: BasketSpec(baskets=50))
    with pytest.raises(DataError, match="--data FILE"):
        invoices(None)
    assert invoices(tmp_path / "mine.csv") == Invoices(tmp_path / "mine.csv", "mine.csv")
    made, told = invoices(None, tmp_path)
    assert made.read_text().startswith("InvoiceNo,StockCode,") and told == "a generated shop of 50 baskets"
    (tmp_path / REAL).parent.mkdir()
    (tmp_path / REAL).touch()
    assert invoices(None, tmp_path) == Invoices(tmp_path / REAL, "UCI Online Retail")


def stretch(rate: float, errors: int = 0) -> Stretch:
    load = Load(requests=int(rate), seconds=1.0, p50=1.0, p99=1e3 / rate, max=9.0, errors=errors)
    return Stretch(load=load, processor_us=1e6 / rate)


def found_serving() -> dict[str, Any]:
    rates = {serving.BARE: 8_000, serving.BARE_JSON: 5_000, serving.TOKEN: 3_000, serving.KEY: 4_000}
    rates |= {serving.KNOWN: 3_500, serving.MLFLOW: 200}
    return {
        "champion": {"kind": "blend", "products": 3_900},
        "settings": {"seconds": 1, "rounds": 3, "carts": 5, "cart": 10, "n": 10},
        "subjects": {
            name: serving.figures([stretch(rate)] * 3, stretch(rate / 2), {}, [stretch(8_000)] * 3)
            for name, rate in rates.items()
        },
    }


def test_the_page_compares_every_subject_with_the_bare_route(tmp_path: Path) -> None:
    point = {
        "file": ".csv.gz", "megabytes": 7.1, "rows": 541_909, "baskets": 19_000, "products": 3_900, "winner": "blend",
        "seconds": 99.0, "processor_seconds": 150.0, "peak_mb": 900.0,
        "steps": {"validate": {"seconds": 2.5, "peak_mb": 300.0}},
    }  # fmt: skip
    points = [point, point | {"file": ".xlsx", "seconds": 120.4}]
    BASKET.keep(tmp_path, "training", {"machine": machine("2011-12-09"), "invoices": "a shop", "points": points})
    (table,) = BASKET.keep(tmp_path, "serving", {"machine": machine("2011-12-10"), **found_serving()})
    by_name = {row[0]: row for row in table.rows}
    assert by_name[serving.KEY][1:4] == ("4,000", "0.50", "0.4")
    assert by_name[serving.BARE][2:4] == ("1.00", "")
    assert "20 times as fast" in table.notes[1]
    page = (tmp_path / "basket.md").read_text()
    assert "| seconds | 99 | 120 |" in page and "2011-12-09" in page and "Target: 180 s" in page
    assert training.TARGET_SECONDS == 180
