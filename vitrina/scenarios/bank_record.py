"""What is kept of a training of the bank: parameters, metrics, pictures, tables, and some rows of the panel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from vitrina.evaluation.propensity_report import ALL_CUSTOMERS
from vitrina.events.panels.columns import CUSTOMER_COLUMN, MONTH_COLUMN, PRODUCTS, PROFILE, month_text
from vitrina.events.panels.panel import NO_DATE, NO_LEVEL, Panel
from vitrina.events.panels.report import PanelReport
from vitrina.features.panel_features import HISTORY_FEATURES, PANEL_FEATURES
from vitrina.ranking.multi_output_propensity import FittedMultiOutput
from vitrina.ranking.preprocessing import SNAPSHOT
from vitrina.ranking.product_propensity import FittedProductPropensity, ProductPropensity
from vitrina.ranking.propensity import FittedPropensity
from vitrina.registry import figures
from vitrina.registry.git_commit import git_commit
from vitrina.registry.registry import RunRecord
from vitrina.scenarios.bank_judgement import QUALITY
from vitrina.scenarios.bank_model import Model
from vitrina.scenarios.bank_panel import Split
from vitrina.scenarios.bank_recipes import Recipe
from vitrina.scenarios.prepared import MADE_OF
from vitrina.scenarios.publication import tags_of
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.winner import Winner

SAMPLE_ROWS = 100


def record_of(
    run: Run,
    panel: Panel,
    split: Split,
    model: Model,
    *,
    winner: Winner[Recipe],
    verdict: dict[str, Any],
    scratch: Path,
) -> RunRecord:
    """The record of a model that is about to be registered; `scratch` takes its files."""
    evaluation = run.local("evaluation")
    tables = {"quality": evaluation / "table.md", "verdict": evaluation / "verdict.json"}
    reports = {path.stem: path for path in sorted(evaluation.glob("report-*.json"))}
    return RunRecord(
        fingerprint=verdict[MADE_OF]["fingerprint"],
        params={
            **model.recipe.as_json(),
            "winner": winner.name,
            "as_of_month": month_text(split.as_of_month),
            "rows": len(panel),
            "customers": len(panel.customers),
            "labelled_months": len(split.labelled),
            "form": PanelReport.read(run.local("validated")).form,
        },
        metrics=metrics_of(run, winner.judged),
        tags=tags_of(run, winner.name, verdict),
        figures=pictures(run, model, winner.judged, scratch),
        tables=tables | reports,
        data_sample=sample(panel, scratch / "sample.csv"),
        git_commit=git_commit(),
        features=features_of(model.recipe),
    )


def metrics_of(run: Run, judged: str) -> dict[str, float]:
    """What was measured of the winner on the test month, of the customers of other cohorts under their name, and MAP@7
    of every model; nothing when nothing was judged."""
    path = run.local("evaluation") / QUALITY
    quality = json.loads(path.read_text()) if path.exists() else {}
    found = {}
    for cohort, metrics in quality.get(judged, {}).items():
        prefix = "" if cohort == ALL_CUSTOMERS else f"{cohort}/"
        found.update({f"{prefix}{name}": value for name, value in metrics.items()})
    return found | {f"{name}/map@7": of[ALL_CUSTOMERS]["map@7"] for name, of in quality.items()}


def features_of(recipe: Recipe) -> list[str]:
    """The columns that a recipe's model looks at."""
    if isinstance(recipe.spec, ProductPropensity):
        return [name for name in PANEL_FEATURES if recipe.spec.lags or name not in HISTORY_FEATURES]
    return list(SNAPSHOT) if recipe.kind == "multi_output" else []


def pictures(run: Run, model: Model, judged: str, scratch: Path) -> dict[str, Path]:
    """What the winner said against what happened, PR-AUC of each product, and what the model looks at."""
    drawn = {}
    path = run.local("evaluation") / f"report-{judged}.json"
    if path.exists():
        report = json.loads(path.read_text())[ALL_CUSTOMERS]
        bins = report["reliability"]["equal_mass"]["bins"]
        drawn["reliability"] = figures.reliability(bins, scratch / "reliability.png")
        by_product = {row["product"]: row["pr_auc"] for row in report["products"] if row["pr_auc"] is not None}
        drawn["pr_auc_by_product"] = figures.bars(by_product, "PR-AUC", scratch / "pr_auc.png")
    importance = importance_of(model.propensity)
    if importance:
        drawn["feature_importance"] = figures.importance(importance, scratch / "importance.png")
    return drawn


def importance_of(fitted: FittedPropensity) -> dict[str, float]:
    """In percent, by feature; of classifiers their mean. Empty for a model that looks at nothing."""
    if isinstance(fitted, FittedProductPropensity):
        return fitted.importance
    if isinstance(fitted, FittedMultiOutput):
        shares = [one.get_feature_importance() for one in fitted.pipeline["model"].estimators_]
        names = [column.name for column in fitted.preprocessing.columns]
        return dict(zip(names, map(float, np.mean(shares, axis=0)), strict=True))
    return {}


def sample(panel: Panel, path: Path) -> Path:
    """Evenly spaced rows of the panel as requests name their columns, as CSV; all are of the 28th, as a panel knows no
    day of the month."""
    rows = np.unique(np.linspace(0, len(panel) - 1, min(SAMPLE_ROWS, len(panel))).astype(np.int64))
    columns: dict[str, Any] = {
        CUSTOMER_COLUMN[1]: panel.customer[rows],
        MONTH_COLUMN[1]: [f"{month_text(month)}-28" for month in panel.month[rows]],
    }
    for column in PROFILE:
        if column.name not in panel.profile:
            continue
        values = panel.profile[column.name][rows]
        if column.kind == "number":
            columns[column.name] = pa.array(values, mask=np.isnan(values))
        elif column.kind == "date":
            columns[column.name] = pa.array(values, mask=values == NO_DATE).cast(pa.date32())
        else:
            levels = panel.levels[column.name]
            columns[column.name] = [None if code == NO_LEVEL else levels[code] for code in values]
    for place, product in enumerate(PRODUCTS):
        known = (panel.known[rows] >> np.uint32(place) & 1).astype(bool)
        columns[product.column] = pa.array((panel.owned[rows] >> np.uint32(place) & 1).astype(np.int8), mask=~known)
    csv.write_csv(pa.table(columns), path)
    return path
