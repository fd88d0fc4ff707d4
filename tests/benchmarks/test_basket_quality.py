"""The quality of companions measured on planted invoices: who foretells is above who does not, and tables say so."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import RESULTS
from benchmarks.basket import quality, quality_tuning
from benchmarks.basket.quality_tables import tables
from benchmarks.basket.quality_tuning import choosing, keep, opened
from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.cart_sources import CART_SOURCES
from vitrina.candidates.co_occurrence import Lift
from vitrina.evaluation.basket_tuning import tune
from vitrina.evaluation.report import Scores

PAIRS = 40


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 invoices from January to June in which product 2p is always bought with product 2p + 1."""
    rng = np.random.default_rng(4)
    path = tmp_path_factory.mktemp("invoices") / "sales.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID"])
        for invoice in range(1500):
            day = datetime(2011, 1, 1) + timedelta(hours=invoice * 180 * 24 / 1500)  # noqa: DTZ001  as files hold it
            for pair in rng.choice(PAIRS, 2, replace=False).tolist():
                for item in (2 * pair, 2 * pair + 1):
                    row = [536_000 + invoice, 20_000 + item, f"THING {item}", 1, f"{day:%Y-%m-%d %H:%M:%S}"]
                    out.writerow([*row, 17_000 + invoice % 90])
    return path


def test_who_knows_the_pairs_is_above_who_does_not(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "RIVALS", {"popular": PopularDays(), "lift rules": Lift(shrink=1.0)})
    told: list[str] = []
    found = json.loads(json.dumps(quality.run(planted, "planted pairs", note=told.append)))
    assert found["models"]["lift rules"]["hr@5"]["mean"] == 1.0
    assert found["models"]["popular"]["hr@5"]["mean"] < 0.3
    assert found["settings"]["lift rules"]["shrink"] == 1.0
    assert found["data"]["judged"] + found["data"]["chosen"] + found["data"]["learned"] == 1500
    assert found["models"][quality.BLEND]["hr@5"]["mean"] > 0.98
    assert found["calibration"]["error"] < 0.1
    means, gains = tables(found)
    assert [row[0] for row in means.rows] == ["popular", "lift rules", quality.STRANGERS, quality.BLEND]
    assert [row[0] for row in gains.rows] == ["popular", "lift rules", quality.STRANGERS]
    assert "planted pairs" in means.notes[0]
    assert "  popular: hr@10" in told[0]


def test_gains_are_those_of_the_blend(rng: np.random.Generator) -> None:
    def scores(shift: float) -> Scores:
        values = dict.fromkeys((*quality.HIDDEN_ONE, quality.HIDDEN_HALF), luck + shift)
        return Scores(values=values, clusters=np.arange(200))

    luck = rng.random(200)
    found = quality.summary({"near": scores(0.0), "far": scores(-0.2), quality.BLEND: scores(0.1)})
    assert found["gains"].keys() == {"near", "far"}
    assert found["gains"]["far"]["hr@10"]["mean"] == pytest.approx(0.3)
    assert quality.faults(found) == []
    worse = quality.summary({"near": scores(0.0), quality.BLEND: scores(-0.1)})
    assert quality.faults(worse) == [
        "the blend is not above near by hr@10",
        "the blend is not above near by ndcg@10",
    ]
    document = {**worse, "data": {"told": "x", "learned": 1, "chosen": 2, "judged": 3, "products": 4}}
    document["calibration"] = {"error": 0.0312}
    (_, gains) = tables(document)
    assert gains.rows[0][1] == "-0.1000 [-0.1000, -0.1000]"
    assert "not above near" in gains.notes[0]
    assert "off by 0.031" in gains.notes[0]


def test_each_source_keeps_its_grid(planted: Path, tmp_path: Path) -> None:
    baskets, split = opened(planted)
    carts, drawn = choosing(baskets, split)
    assert carts.as_of == split.validation
    assert max(int(cases.ts.max()) for cases in drawn) < split.test
    assert len(drawn) == quality_tuning.DRAWS
    for days, best in ((7.0, 7.0), (500.0, 500.0)):
        keep(tmp_path / "grid.json", f"{days}", tune(PopularDays(days=days), [], carts, drawn))
        document: dict[str, Any] = json.loads((tmp_path / "grid.json").read_text())
        assert document[f"{days}"]["best"] == {"days": best}
    assert document.keys() == {"7.0", "500.0"}
    assert document["7.0"]["trials"][0].keys() == {"days", "hr@10", "ndcg@10"}


def test_the_wanted_sources_are_tuned(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tuning", "popular", "--data", str(planted), "--out", str(tmp_path)])
    quality_tuning.main()
    found = json.loads((tmp_path / quality_tuning.FILE).read_text())
    assert found.keys() == {"popular"}
    assert found["popular"]["tried"] == 6
    assert "tuning popular" in capsys.readouterr().out


def test_the_settings_are_the_best_of_the_grids_that_are_kept() -> None:
    kept = json.loads((RESULTS / quality_tuning.FILE).read_text())
    assert kept.keys() == CART_SOURCES.keys()
    for name, found in kept.items():
        assert found["best"].items() <= vars(CART_SOURCES[name]).items()
        best = max(found["trials"], key=lambda trial: trial["hr@10"] * trial["ndcg@10"])
        assert found["best"].items() <= best.items()
        assert len(found["trials"]) == found["tried"]
