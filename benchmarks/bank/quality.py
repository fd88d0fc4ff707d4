"""MAP@7 of the scenario's own recipes: on generated panels beside the oracle, on panels without structure, and on the
real extract of acquisitions. All differences are paired by customer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from vitrina.engine import LocalEngine
from vitrina.evaluation.propensity_metrics import Predictions, customer_scores
from vitrina.evaluation.report import Scores
from vitrina.events.panels.columns import month_text
from vitrina.events.panels.panel import Panel
from vitrina.events.panels.reader import read_panel
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.propensity import Probabilities, foretold
from vitrina.ranking.propensity_rows import PropensityRows, propensity_rows
from vitrina.scenarios.bank_recipes import BASELINES, Recipe
from vitrina.scenarios.bank_recipes import RECIPES as NAMED

ORACLE, LAGGED, PLAIN, CLASSIFIERS, POPULAR = "oracle", "lags", "no lags", "multi-output", "popularity"
RECIPES: Final[dict[str, Recipe]] = {
    LAGGED: NAMED["lags"]["lags"],
    PLAIN: NAMED["no_lags"]["no_lags"],
    CLASSIFIERS: NAMED["multi_output"]["multi_output"],
    POPULAR: BASELINES["popularity"],
}
RIVALS: Final = (PLAIN, CLASSIFIERS, POPULAR)
METRIC: Final = "map@7"
SHARE_TARGET: Final = 0.85
EXTRACT_MONTHS: Final = 6
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A panel split by the month of the label: what is learned from, calibrated on, and judged."""

    train: PropensityRows
    valid: PropensityRows
    test: PropensityRows

    @classmethod
    def of(cls, panel: Panel, test: int) -> Split:
        """`test` is the month whose rows are judged by what was taken in the one after; the month before calibrates."""
        encoding = ProfileEncoding.fit(panel, np.flatnonzero(panel.month <= test - 2))
        return cls(
            train=propensity_rows(panel, encoding, last=test - 2),
            valid=propensity_rows(panel, encoding, test - 1, test - 1),
            test=propensity_rows(panel, encoding, test, test),
        )

    def judge(self, probabilities: Probabilities, first_customer: int = 0) -> Scores:
        """MAP@7 of each test row; `first_customer` is added to the customers' numbers. What is not known in both months
        is not judged, as in the scenario."""
        predictions = Predictions(probabilities=probabilities, acquired=self.test.labels, owned=~self.test.open)
        return customer_scores(predictions, self.test.customers + first_customer)

    def compare(self, names: Iterable[str], note: Note, first_customer: int = 0) -> dict[str, Scores]:
        """These recipes, fitted and judged."""
        threads, found = psutil.cpu_count() or 1, {}
        for name in names:
            model = RECIPES[name].fit(self.train, self.valid, threads=threads)
            found[name] = self.judge(foretold(model, self.test, threads=threads), first_customer)
            note(f"  {name}: {found[name].mean(METRIC):.5f}")
        return found


def run(customers: int, seeds: Sequence[int], extract: Path | None, *, note: Note) -> dict[str, Any]:
    """Everything, ready for JSON; without `extract` only what is generated."""
    found: dict[str, Any] = {"settings": {"customers": customers, "seeds": list(seeds)}}
    for name, structure in (("structure", 1.0), ("no_structure", 0.0)):
        specs = [PanelSpec(customers=customers, seed=seed, structure=structure) for seed in seeds]
        found[name] = generated(specs, note)
    found["extract"] = None if extract is None else real(extract, note)
    return found


def generated(specs: Sequence[PanelSpec], note: Note, names: Sequence[str] = tuple(RECIPES)) -> dict[str, Any]:
    """The worlds one by one, and all of their customers together; `names` of RECIPES are fitted."""
    worlds, scores = [], []
    for place, spec in enumerate(specs):
        note(f"A panel of {spec.customers:,} customers, seed {spec.seed}, structure {spec.structure:g}")
        with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as scratch:
            world = generate_panel(spec, Path(scratch) / "panel")
            panel = opened(Path(scratch) / "panel")
        split = Split.of(panel, int(panel.month.max()) - 1)
        first = place * 10**10  # customers of two worlds have no number in common
        truth = world.probabilities(split.test.customers, split.test.months)
        found = {ORACLE: split.judge(truth, first), **split.compare(names, note, first)}
        scores.append(found)
        worlds.append({"seed": spec.seed, "rows": len(panel), **summary(found)})
    return {"worlds": worlds, "together": summary(pooled(scores))}


def real(source: Path, note: Note, months: int = EXTRACT_MONTHS) -> dict[str, Any]:
    """The last `months` months that have a next one, each judged by models of what lay before it."""
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as scratch:
        out = Path(scratch) / "panel"
        with LocalEngine() as engine:
            report = read_panel(source, out, engine)
        panel = opened(out)
    last, scores = int(panel.month.max()) - 1, {}
    for test in range(last - months + 1, last + 1):
        note(f"The extract, {month_text(test)} to {month_text(test + 1)}")
        scores[month_text(test + 1)] = Split.of(panel, test).compare(RECIPES, note)
    return {
        "rows": len(panel),
        "customers": len(panel.customers),
        "missing": list(report.missing),
        "months": {name: summary(one) for name, one in scores.items()},
        "together": summary(pooled(scores.values())),
    }


def opened(folder: Path) -> Panel:
    """The validated panel in memory."""
    with LocalEngine() as engine:
        return Panel.open(folder, engine)


def pooled(parts: Iterable[Mapping[str, Scores]]) -> dict[str, Scores]:
    """The scores of several worlds or months together."""
    found = list(parts)
    return {name: Scores.pool([one[name] for one in found]) for name in found[0]}


def summary(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Means, the share of the oracle's where there is one, and what is gained over others, paired."""
    means = {name: one.mean(METRIC) for name, one in scores.items()}
    pairs = [(LAGGED, rival) for rival in RIVALS if rival in scores] + [(PLAIN, POPULAR)]
    found: dict[str, Any] = {
        "rows": len(scores[LAGGED]),
        "customers": scores[LAGGED].users,
        "map": means,
        "gains": {
            f"{better} - {worse}": scores[better].minus(scores[worse], METRIC).as_json() for better, worse in pairs
        },
    }
    if ORACLE in means:
        found["share_of_oracle"] = {name: value / means[ORACLE] for name, value in means.items()}
    return found


def faults(found: dict[str, Any]) -> list[str]:
    """What does not hold of what must hold, in sentences; empty when all of it does."""
    wrong = []
    whole, nothing = found["structure"]["together"], found["no_structure"]["together"]
    if (share := whole["share_of_oracle"][LAGGED]) < SHARE_TARGET:
        wrong.append(f"lags reach {share:.1%} of the oracle, not {SHARE_TARGET:.0%}")
    for rival in (PLAIN, POPULAR):
        if not above(whole["gains"][f"{LAGGED} - {rival}"]):
            wrong.append(f"lags are not above {rival}")
        if above(nothing["gains"][f"{LAGGED} - {rival}"]):
            wrong.append(f"without structure lags are above {rival}")
    return wrong


def above(gain: Mapping[str, float]) -> bool:
    """Whether a gain's interval lies above 0."""
    return gain["low"] > 0
