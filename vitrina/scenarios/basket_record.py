"""What is kept of a training of baskets: parameters, metrics, pictures, tables, and some lines of the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.splits import BasketSplit
from vitrina.ranking.cart_features import FEATURES
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.registry import figures
from vitrina.registry.git_commit import git_commit
from vitrina.registry.registry import RunRecord
from vitrina.scenarios.basket_judgement import METRIC, QUALITY
from vitrina.scenarios.basket_recipes import Recipe
from vitrina.scenarios.prepared import MADE_OF
from vitrina.scenarios.publication import tags_of
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.winner import Winner

SAMPLE_BASKETS = 50


def record_of(
    run: Run,
    baskets: Baskets,
    split: BasketSplit,
    model: CompanionsModel,
    *,
    winner: Winner[Recipe],
    verdict: dict[str, Any],
    scratch: Path,
) -> RunRecord:
    """The record of a model that is about to be registered; `scratch` takes its files."""
    evaluation = run.local("evaluation")
    tables = {"quality": evaluation / "table.md", "verdict": evaluation / "verdict.json"}
    return RunRecord(
        fingerprint=verdict[MADE_OF]["fingerprint"],
        params={
            **winner.recipe.as_json(),
            "winner": winner.name,
            "validation_from": split.validation,
            "test_from": split.test,
            "end": split.end,
            "dated": baskets.dated,
            "baskets": len(baskets),
            "products": len(baskets.codes),
            "customers": len(baskets.customers),
        },
        metrics=metrics_of(run, winner.judged),
        tags=tags_of(run, winner.name, verdict),
        figures=pictures(run, winner.judged, scratch) | importance(model, scratch),
        tables=tables | {path.stem: path for path in sorted(evaluation.glob("reliability-*.json"))},
        data_sample=sample(baskets, scratch / "sample.csv"),
        git_commit=git_commit(),
        features=FEATURES if model.kind == "blend" else (),
    )


def metrics_of(run: Run, judged: str) -> dict[str, float]:
    """What was measured of the winner on the test period, and what the gate decides by of every model; nothing when
    nothing was judged."""
    quality = _quality(run)
    others = {f"{name}/{METRIC}": found[METRIC] for name, found in quality.items()}
    return {**quality.get(judged, {}), **others}


def pictures(run: Run, judged: str, scratch: Path) -> dict[str, Path]:
    """What the winner's confidence said against what was taken, and the models by what the gate decides by."""
    drawn = {}
    path = run.local("evaluation") / f"reliability-{judged}.json"
    if path.exists() and (found := json.loads(path.read_text())):
        drawn["reliability"] = figures.reliability(found["bins"], scratch / "reliability.png")
    quality = _quality(run)
    if quality:
        by_model = {name: found[METRIC] for name, found in quality.items()}
        drawn["models"] = figures.bars(by_model, METRIC, scratch / "models.png")
    return drawn


def importance(model: CompanionsModel, scratch: Path) -> dict[str, Path]:
    """What the trees of a blend that was just fitted look at; nothing of another model."""
    if model.cbm is None:
        return {}
    from catboost import CatBoost

    shares = CatBoost().load_model(blob=model.cbm).get_feature_importance(type="PredictionValuesChange")
    by_feature = dict(zip(FEATURES, map(float, shares), strict=True))
    return {"feature_importance": figures.importance(by_feature, scratch / "importance.png")}


def sample(baskets: Baskets, path: Path) -> Path:
    """The lines of evenly spaced baskets under the names of a sales file, as CSV."""
    rows = np.unique(np.linspace(0, len(baskets) - 1, min(SAMPLE_BASKETS, len(baskets))).astype(np.int64))
    lines = np.concatenate([np.arange(baskets.starts[row], baskets.starts[row + 1]) for row in rows.tolist()])
    basket = np.repeat(rows, baskets.sizes[rows])
    customers = np.array([*baskets.customers, ""])[baskets.customer[basket]]
    columns: dict[str, Any] = {
        "InvoiceNo": baskets.invoices[basket],
        "StockCode": [baskets.codes[item] for item in baskets.items[lines].tolist()],
        "Description": [baskets.descriptions[item] for item in baskets.items[lines].tolist()],
        "CustomerID": customers,
    }
    if baskets.dated:
        columns["InvoiceDate"] = pa.array(baskets.ts[basket], pa.timestamp("ms"))
    csv.write_csv(pa.table(columns), path)
    return path


def _quality(run: Run) -> dict[str, dict[str, float]]:
    path = run.local("evaluation") / QUALITY
    found: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    return found
