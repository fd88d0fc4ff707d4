"""How the bank's models fare on the test month: scores by customer, a report for each cohort, and the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vitrina.evaluation.propensity_metrics import customer_scores
from vitrina.evaluation.propensity_report import PropensityReport, cohorts
from vitrina.evaluation.propensity_table import propensity_table
from vitrina.evaluation.report import Scores, Table
from vitrina.evaluation.truth import Bools
from vitrina.events.panels.panel import Panel
from vitrina.scenarios.bank_model import Model
from vitrina.scenarios.bank_recipes import buyers

QUALITY = "quality.json"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """By model: `scores` of all customers of the test month, `reports` by cohort, and whose decisions are published
    (`thresholds`, a name). `cohorts` tells the customers of each, in the order of the tables."""

    scores: Mapping[str, Scores]
    reports: Mapping[str, Mapping[str, PropensityReport]]
    thresholds: Mapping[str, str]
    cohorts: Mapping[str, Bools]

    @classmethod
    def of(cls, models: Mapping[str, Model], panel: Panel, month: int, *, first: str, threads: int) -> Self:
        """Judges models on the rows of a month; the table of the cohort `first` comes first."""
        scores, reports = {}, {}
        everybody = buyers(panel)
        parts: dict[str, Bools] = {}
        for name, model in models.items():
            predictions, rows = model.predictions(panel, month, threads=threads)
            parts = cohorts(rows.customers, everybody)
            scores[name] = customer_scores(predictions, rows.customers)
            reports[name] = {
                cohort: PropensityReport.of(cohort, predictions.where(those), rows.customers[those], model.thresholds)
                for cohort, those in parts.items()
                if those.any()
            }
        return cls(
            scores=scores,
            reports=reports,
            thresholds={name: model.published.name for name, model in models.items()},
            cohorts={name: parts[name] for name in sorted(parts, key=lambda name: name != first)},
        )

    def called(self, name: str, like: str) -> Self:
        """The same with one model under another name, too."""
        return type(self)(
            scores={**self.scores, name: self.scores[like]},
            reports={**self.reports, name: self.reports[like]},
            thresholds={**self.thresholds, name: self.thresholds[like]},
            cohorts=self.cohorts,
        )

    def tables(self, reference: str) -> dict[str, Table]:
        """A table for each cohort that has customers; differences are to `reference`."""
        return {
            cohort: propensity_table(
                cohort,
                self.scores,
                rows,
                {name: of[cohort] for name, of in self.reports.items()},
                self.thresholds,
                reference=reference,
            )
            for cohort, rows in self.cohorts.items()
            if rows.any()
        }

    def quality(self) -> dict[str, dict[str, dict[str, float]]]:
        """Every defined number by model, cohort and name."""
        return {name: {cohort: report.metrics() for cohort, report in of.items()} for name, of in self.reports.items()}

    def write(self, folder: Path, reference: str, about: str) -> None:
        """Writes the tables under the line `about`, every number, and the report of each model."""
        tables = self.tables(reference)
        (folder / "table.md").write_text("\n".join([about, "", *(table.markdown() for table in tables.values())]))
        (folder / "table.json").write_text(
            json.dumps(
                {"about": about, "cohorts": {cohort: table.as_json() for cohort, table in tables.items()}}, indent=2
            )
        )
        (folder / QUALITY).write_text(json.dumps(self.quality()))
        for name, of in self.reports.items():
            report = {cohort: of[cohort].as_json() for cohort in self.cohorts if cohort in of}
            (folder / f"report-{name}.json").write_text(json.dumps(report))
