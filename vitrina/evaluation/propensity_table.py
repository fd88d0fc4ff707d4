"""Propensity models beside each other: MAP@7, its difference to a reference on the same customers, and averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from vitrina.evaluation.bootstrap import Interval, mean_intervals
from vitrina.evaluation.propensity_metrics import DEPTH
from vitrina.evaluation.propensity_report import COHORTS, PropensityReport
from vitrina.evaluation.report import Scores, Table
from vitrina.evaluation.truth import Bools

METRIC: Final = f"map@{DEPTH}"
AVERAGES: Final = ("micro_pr_auc", "micro_roc_auc", "micro_precision", "micro_recall", "micro_f1")


def propensity_table(
    cohort: str,
    scores: Mapping[str, Scores],
    rows: Bools,
    reports: Mapping[str, PropensityReport],
    thresholds: Mapping[str, str],
    *,
    reference: str,
    seed: int = 0,
    replicates: int = 1_000,
) -> Table:
    """One row per model of `scores`, which has `map@7` of all customers in the same order; `rows` bool are those of the
    cohort. `thresholds` names whose decisions of a model's report are shown.

    All intervals come from the same drawn customers; an average that is not defined is 0.
    """
    names = list(scores)
    values = np.column_stack([scores[name].column(METRIC)[rows] for name in names])
    over = values - values[:, [names.index(reference)]]
    clusters = scores[reference].clusters[rows]
    drawn = mean_intervals(np.hstack([values, over]), clusters, seed=seed, n=replicates)
    table: dict[str, dict[str, Interval | float]] = {}
    for name, mean, difference in zip(names, drawn, drawn[len(names) :], strict=False):
        shown: dict[str, Interval | float] = {METRIC: mean, f"{METRIC} over {reference}": difference}
        for average in AVERAGES:
            at = "" if average.endswith("auc") else f"/{thresholds[name]}"
            shown[average] = reports[name].averages[average + at] or 0.0
        table[name] = {**shown, "calibration_error": reports[name].reliability["equal_mass"].error}
    first = next(iter(table.values()))
    return Table(
        title=f"{cohort}: {COHORTS[cohort]}",
        metrics=tuple(first),
        rows=table,
        users=len(np.unique(clusters)),
        cases=len(clusters),
    )
