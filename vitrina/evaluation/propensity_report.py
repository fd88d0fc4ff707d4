"""What one propensity model is worth on one cohort: averages, a row per product, calibration; as JSON and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from vitrina.evaluation.bootstrap import Interval, mean_interval
from vitrina.evaluation.propensity_metrics import DEPTH, Predictions, customer_scores
from vitrina.evaluation.propensity_thresholds import Thresholds
from vitrina.evaluation.reliability import Bins, Reliability, SortedScores
from vitrina.evaluation.truth import Bools, Int64s

ALL_CUSTOMERS: Final = "all_customers"
EVER_BOUGHT: Final = "ever_bought"
COHORTS: Final[dict[str, str]] = {
    ALL_CUSTOMERS: "every customer of the test months",
    EVER_BOUGHT: "only customers who acquired something in any month, the test months included: "
    "the cohort is chosen by looking at the answers, so its figures would not come true",
}


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Yes and no at a threshold: cases said yes, how many of them happened, and how good that is."""

    threshold: float | None
    yes: int
    hits: int
    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, yes: int, hits: int, positives: int, threshold: float | None = None) -> Decisions:
        """From counts; a share of nothing is 0. An infinite threshold becomes None."""
        return cls(
            threshold=threshold if threshold is not None and math.isfinite(threshold) else None,
            yes=yes,
            hits=hits,
            precision=hits / yes if yes else 0.0,
            recall=hits / positives if positives else 0.0,
            f1=2.0 * hits / (yes + positives) if yes + positives else 0.0,
        )


@dataclass(frozen=True, kw_only=True)
class ProductRow:
    """One product on its open rows; what needs an acquisition and has none is None. `decisions` by thresholds' name."""

    product: str
    rows: int
    acquisitions: int
    said: float
    roc_auc: float | None
    pr_auc: float | None
    calibration_error: float
    decisions: dict[str, Decisions]

    @classmethod
    def of(cls, product: str, scores: SortedScores, thresholds: dict[str, float]) -> ProductRow:
        """`said` is the mean probability; the calibration error is that of bins of equal mass."""
        n, positives = len(scores.cases), len(scores.hits)
        return cls(
            product=product,
            rows=n,
            acquisitions=positives,
            said=float(scores.cases.mean(dtype=np.float64)) if n else 0.0,
            roc_auc=scores.roc_auc,
            pr_auc=scores.pr_auc,
            calibration_error=scores.reliability().error,
            decisions={
                name: Decisions.of(*scores.reached(value), positives, value) for name, value in thresholds.items()
            },
        )


@dataclass(frozen=True, kw_only=True)
class PropensityReport:
    """Numbers of one model on one cohort.

    `averages` has micro and macro values by name, such as `micro_roc_auc` and `macro_f1/single`; an undefined one is
    None. micro: all open cells as one problem. macro: plain mean over the products with an acquisition; the others are
    named in `left_out`. `reliability` is by the kind of bins, over all open cells.
    """

    cohort: str
    rows: int
    customers: int
    acquisitions: int
    map: Interval
    averages: dict[str, float | None]
    products: tuple[ProductRow, ...]
    left_out: tuple[str, ...]
    reliability: dict[Bins, Reliability]

    @classmethod
    def of(
        cls,
        cohort: str,
        predictions: Predictions,
        customers: Int64s,
        thresholds: Sequence[Thresholds],
        *,
        bins: int = 15,
        seed: int = 0,
        replicates: int = 500,
    ) -> PropensityReport:
        """Judges `predictions`; customers (rows,) name the clusters of MAP@7's interval, drawn `replicates` times.

        `thresholds` come tuned from other rows: nothing is tuned here. `ValueError` when they are of other products.
        """
        if any(t.products != predictions.products for t in thresholds):
            raise ValueError("thresholds and predictions are of different products")
        scores = customer_scores(predictions, customers)
        everything = predictions.pooled()
        rows = tuple(
            ProductRow.of(name, product, {t.name: t.values[place] for t in thresholds})
            for place, (name, product) in enumerate(zip(predictions.products, predictions.by_product(), strict=True))
        )
        kinds: tuple[Bins, ...] = ("equal_mass", "equal_width")
        return cls(
            cohort=cohort,
            rows=len(predictions),
            customers=scores.users,
            acquisitions=len(everything.hits),
            map=mean_interval(scores.column(f"map@{DEPTH}"), customers, seed=seed, n=replicates),
            averages=_averages(everything, rows, [t.name for t in thresholds]),
            products=rows,
            left_out=tuple(row.product for row in rows if not row.acquisitions),
            reliability={kind: everything.reliability(bins, kind) for kind in kinds},
        )

    def metrics(self) -> dict[str, float]:
        """All defined numbers by name, for the log of a run."""
        errors = {f"calibration_error_{kind}": table.error for kind, table in self.reliability.items()}
        defined = {name: value for name, value in self.averages.items() if value is not None}
        return {f"map@{DEPTH}": self.map.mean} | defined | errors

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "cohort": self.cohort,
            "rows": self.rows,
            "customers": self.customers,
            "acquisitions": self.acquisitions,
            f"map@{DEPTH}": self.map.as_json(),
            "averages": dict(self.averages),
            "products": [asdict(row) for row in self.products],
            "left_out": list(self.left_out),
            "reliability": {kind: table.as_json() for kind, table in self.reliability.items()},
        }

    def markdown(self) -> str:
        """Averages and the table of products; under them what was left out."""
        about = f": {COHORTS[self.cohort]}" if self.cohort in COHORTS else ""
        counts = f"{self.customers} customers, {self.rows} rows, {self.acquisitions} acquisitions"
        names = list(self.products[0].decisions)
        heads = ["product", "rows", "acquired", "said", "roc_auc", "pr_auc", "calibration_error"]
        heads += [f"{what}/{name}" for name in names for what in ("threshold", "precision", "recall", "f1")]
        lines = [f"**{self.cohort}**{about}", "", f"{counts}.", "", "| metric | value |", "|---|---:|"]
        lines += [f"| {name} | {_text(value)} |" for name, value in self.metrics().items()]
        lines += ["", f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
        for row in self.products:
            cells = [row.product, str(row.rows), str(row.acquisitions)]
            cells += [_text(v) for v in (row.said, row.roc_auc, row.pr_auc, row.calibration_error)]
            for d in row.decisions.values():
                cells += [_text(v) for v in (d.threshold, d.precision, d.recall, d.f1)]
            lines.append(f"| {' | '.join(cells)} |")
        if self.left_out:
            lines += ["", f"Not in the macro averages, for nobody acquired them: {', '.join(self.left_out)}."]
        return "\n".join([*lines, ""])


def cohorts(customers: Int64s, buyers: Int64s) -> dict[str, Bools]:
    """Rows of each cohort of COHORTS, bool (rows,), for the customer of each row.

    buyers: the customers with any acquisition in any month of the panel, test months included.
    """
    return {ALL_CUSTOMERS: np.ones(len(customers), dtype=np.bool_), EVER_BOUGHT: np.isin(customers, buyers)}


def cohort_reports(
    predictions: Predictions, customers: Int64s, buyers: Int64s, thresholds: Sequence[Thresholds], *, seed: int = 0
) -> dict[str, PropensityReport]:
    """One report per cohort that has rows; `buyers` as in `cohorts`."""
    return {
        name: PropensityReport.of(name, predictions.where(rows), customers[rows], thresholds, seed=seed)
        for name, rows in cohorts(customers, buyers).items()
        if rows.any()
    }


def _averages(
    everything: SortedScores, rows: Sequence[ProductRow], thresholds: Sequence[str]
) -> dict[str, float | None]:
    judged = [row for row in rows if row.acquisitions]
    values: dict[str, float | None] = {
        "micro_roc_auc": everything.roc_auc,
        "macro_roc_auc": _mean([row.roc_auc for row in judged]),
        "micro_pr_auc": everything.pr_auc,
        "macro_pr_auc": _mean([row.pr_auc for row in judged]),
    }
    for name in thresholds:
        made = [row.decisions[name] for row in rows]
        micro = Decisions.of(sum(d.yes for d in made), sum(d.hits for d in made), len(everything.hits))
        for what in ("precision", "recall", "f1"):
            values[f"micro_{what}/{name}"] = getattr(micro, what)
            values[f"macro_{what}/{name}"] = _mean([getattr(row.decisions[name], what) for row in judged])
    return values


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
