"""The bank's benchmark: what must hold of its quality, figures that follow from planted ones, parts stored apart."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bank import clients, parts, quality, serving
from benchmarks.bank.quality import LAGGED, ORACLE, PLAIN, POPULAR, RECIPES, RIVALS
from benchmarks.load import Load
from benchmarks.machine import machine
from benchmarks.process_tree import Watched
from benchmarks.servers import running
from benchmarks.serving import Stretch
from vitrina.evaluation.report import Scores
from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.synthetic_panels.generator import PanelSpec
from vitrina.features.panel_client import read_client
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.propensity import FixedPropensity
from vitrina.recommend.propensity_model import PRODUCT_COLUMNS, PropensityModel

ROOT = Path(__file__).resolve().parents[2]
MONTH = 2016 * 12 + 3  # April 2016
ANSWERS = """
import http.server, json, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(json.loads(sys.argv[2])[self.path])
    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_lags_come_close_to_the_oracle_and_win_only_where_there_is_structure() -> None:
    """The scenario's own recipes, on a generated panel and on one without structure."""
    names = (LAGGED, PLAIN, POPULAR)
    found = {
        name: quality.generated([PanelSpec(customers=12_000, seed=1, structure=structure)], lambda _: None, names)
        for name, structure in (("structure", 1.0), ("no_structure", 0.0))
    }
    assert quality.faults(found) == []
    whole = found["structure"]["together"]
    assert whole["share_of_oracle"][LAGGED] > 0.95
    means = whole["map"]
    assert means[LAGGED] - means[POPULAR] > 0.75 * (means[ORACLE] - means[POPULAR])
    for rival in (PLAIN, POPULAR):
        assert whole["gains"][f"{LAGGED} - {rival}"]["low"] > 0
        assert found["no_structure"]["together"]["gains"][f"{LAGGED} - {rival}"]["low"] <= 0


def planted(means: dict[str, float]) -> dict[str, Any]:
    """Summaries of 400 customers, whose scores lie around each mean alike."""
    noise = np.tile([-0.01, 0.01], 200)
    return quality.summary(
        {name: Scores(values={quality.METRIC: mean + noise}, clusters=np.arange(400)) for name, mean in means.items()}
    )


def found_quality(lags: float, without_structure: float) -> dict[str, Any]:
    whole = planted({ORACLE: 0.03, **dict.fromkeys(RECIPES, 0.02), LAGGED: lags})
    nothing = planted({ORACLE: 0.02, **dict.fromkeys(RECIPES, 0.02), LAGGED: without_structure})
    return {
        "settings": {"customers": 400, "seeds": [3]},
        "structure": {"worlds": [{"seed": 3, **whole}], "together": whole},
        "no_structure": {"worlds": [{"seed": 3, **nothing}], "together": nothing},
        "extract": None,
    }


def test_what_does_not_hold_is_said() -> None:
    assert quality.faults(found_quality(0.027, 0.02)) == []
    assert quality.faults(found_quality(0.025, 0.02)) == ["lags reach 83.3% of the oracle, not 85%"]
    assert quality.faults(found_quality(0.02, 0.02))[1:] == [
        "lags are not above no lags",
        "lags are not above popularity",
    ]
    assert quality.faults(found_quality(0.027, 0.021)) == [
        "without structure lags are above no lags",
        "without structure lags are above popularity",
    ]


def test_each_part_replaces_its_own_results_alone(tmp_path: Path) -> None:
    training = {
        "points": [
            {
                "rows": 5_000, "customers": 350, "megabytes": 1.0, "seconds": 9.0, "processor_seconds": 8.0,
                "peak_mb": 700.0, "steps": {"validate": {"seconds": 1.5, "peak_mb": 300.0}},
            }
        ]
    }  # fmt: skip
    parts.BANK.keep(tmp_path, "training", {"machine": machine("2016-05-01"), **training})
    parts.BANK.keep(tmp_path, "quality", {"machine": machine("2016-05-02"), **found_quality(0.025, 0.02)})
    tables = parts.BANK.keep(tmp_path, "quality", {"machine": machine("2016-05-03"), **found_quality(0.027, 0.02)})
    assert tables[0].title == "Quality on generated panels"
    page, document = (tmp_path / "bank.md").read_text(), json.loads((tmp_path / "bank.json").read_text())
    assert document["training"]["points"] == training["points"]
    assert "| validate | 1.5 s, 300 MB |" in page
    assert "2016-05-01" in page and "2016-05-03" in page and "2016-05-02" not in page
    assert "| seed 3 | 0.03000 | 0.02700 | 0.02000 | 0.02000 | 0.02000 | 0.900 |" in page
    for rival in RIVALS:
        assert document["quality"]["structure"]["together"]["gains"][f"{LAGGED} - {rival}"]["low"] == pytest.approx(
            0.007
        )


def test_steps_have_their_own_seconds_and_peaks() -> None:
    samples = ((0.5, 500_000_000), (2.0, 10_000_000), (5.0, 90_000_000), (9.0, 20_000_000))
    seen = Watched(seconds=10.0, processor_seconds=1.0, samples=samples, output="")
    found = seen.by_step({"validate": {"seconds": 3.0}, "propensity": {"seconds": 4.0}, "register": {"seconds": 2.0}})
    assert list(found) == ["validate", "propensity", "register"]
    assert [step["peak_mb"] for step in found.values()] == [10, 90, 20]
    assert found["propensity"]["seconds"] == 4


@pytest.fixture
def model() -> PropensityModel:
    return PropensityModel(
        kind="constant",
        encoding=ProfileEncoding(levels={}),
        propensity=FixedPropensity(rates=np.linspace(0.1, 0.9, 24)),
        thresholds=np.full(24, 0.5),
        as_of_month=MONTH,
        marginals=PanelMarginals(profile={}, owned=(0.0,) * 20 + (1.0,) * 4),
    )


def test_clients_have_the_months_before_theirs(model: PropensityModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "POOL", 40)
    plain, lagged = (clients.clients(model, np.random.default_rng(1), history=wanted) for wanted in (False, True))
    assert len(plain) == len(lagged) == 40
    assert plain[0]["fetch_date"] == "28-04-2016" and "history" not in plain[0]
    read = [read_client(one, default_month=0) for one in lagged]
    assert all(client.months.tolist() == [MONTH - back for back in range(1, 7)] for client in read)
    assert all(client.month == MONTH and client.owned == 0xF00000 for client in read)
    assert len({mask for client in read for mask in client.portfolios.tolist()}) > 10


@pytest.fixture
def answering(tmp_path: Path) -> Callable[..., Any]:
    def start(answers: dict[str, Any]) -> Any:
        command = [sys.executable, "-c", ANSWERS, "{port}", json.dumps(answers)]
        return running(command, ready="/", env=dict(os.environ), cwd=ROOT, log=tmp_path / "log.txt")

    return start


def test_servers_that_answer_something_else_are_not_compared(
    model: PropensityModel, answering: Callable[..., Any]
) -> None:
    document = {"fetch_date": "28-04-2016"}
    probabilities, decided = clients.said(model, document)
    assert decided.tolist() == [0.0] * 12 + [1.0] * 12
    right = {
        "/predict": {product.russian: int(at) for product, at in zip(PRODUCTS, decided, strict=True)},
        "/invocations": {"predictions": [dict(zip(PRODUCT_COLUMNS, probabilities.tolist(), strict=True))]},
    }
    with answering(right) as server:
        clients.check(server, clients.predict([document]), [decided])
        clients.check(server, clients.invocations([document]), [probabilities])
        with pytest.raises(RuntimeError, match="instead of"):
            clients.check(server, clients.predict([document]), [1 - decided])


def test_figures_are_medians_and_errors_add_up() -> None:
    def at(rate: float, errors: int = 0) -> Stretch:
        load = Load(requests=int(rate), seconds=1.0, p50=1.0, p99=1e3 / rate, max=9.0, errors=errors)
        return Stretch(load=load, processor_us=1e6 / rate)

    fast, slow = serving.figures([at(500), at(2_000), at(1_000, 2)], at(400, 1)), serving.figures([at(20)], at(10))
    assert (fast["requests_per_second"], fast["p99_ms"], fast["errors"]) == (1_000, 1, 3)
    subjects = {
        name: fast if name in serving.PEER_OF else slow for name in (*serving.PEER_OF, *serving.PEER_OF.values())
    }
    table = serving.tables(
        {
            "champion": {"kind": "product", "trees": 150},
            "classifiers": 18,
            "settings": {"seconds": 1, "rounds": 3, "clients": 5},
            "subjects": subjects,
        }
    )[0]
    assert table.rows[0][:3] == ("/predict", "1,000", "50.00")
    assert "50 times as fast" in table.notes[1]
