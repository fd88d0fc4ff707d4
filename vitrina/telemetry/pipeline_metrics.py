"""Metrics of the pipeline: what the state database tells of all steps, as samples of the names in pipeline_names.py.

Everything here is a function of the overview. A step's result is read by its keys (`rows_in`, `rejected`, `recall`,
`quality`, `gate`, `drift`, `days`), wherever they occur: no scenario and no step is known by name. What a result of
another release does not have, or has in another shape, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from vitrina.storage.state import PROMOTED, REFUSED, Overview, StepRun, StepTally
from vitrina.telemetry import pipeline_names as names
from vitrina.telemetry.day_series import COUNTS, day_begin, day_rates
from vitrina.telemetry.names import MetricName

Samples = dict[tuple[MetricName, tuple[str, ...]], float]
"""Values by name and label values, so that no series occurs twice."""

Families = Iterable[GaugeMetricFamily | CounterMetricFamily]

DAY_KINDS = {"view": "views", "addtocart": "carts", "transaction": "purchases"}


def pipeline_samples(overview: Overview, last_steps: Mapping[str, str]) -> Samples:
    """Every sample that an overview gives; `last_steps` names the step of each scenario that ends a training."""
    found: Samples = {}
    for scenario, tallies in groupby(overview.steps, key=lambda one: one.scenario):
        steps = list(tallies)
        for one in steps:
            found.update(_attempts(one))
            found.update(_rows(one))
        ended = {one.step: one.last_done for one in steps}.get(last_steps.get(scenario, ""))
        if ended is not None:
            found[names.TRAINING_SUCCEEDED, (scenario,)] = ended / 1000
        found.update(_rejected(scenario, steps))
        found.update(_recall(scenario, steps))
        found.update(_quality(scenario, steps))
        found.update(_drift(scenario, steps))
    for scenario, days in complete_days(overview).items():
        found.update(_day(scenario, days))
    for gate in overview.gates:
        found[names.GATE_OUTCOMES, (gate.scenario, PROMOTED)] = gate.promoted
        found[names.GATE_OUTCOMES, (gate.scenario, REFUSED)] = gate.refused
        found[names.GATE_REFUSALS, (gate.scenario,)] = gate.refused_in_a_row
    return found


def complete_days(overview: Overview) -> dict[str, list[dict[str, Any]]]:
    """The rows of the newest `days` of each scenario, the oldest day first; rows that lack something are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for scenario, steps in groupby(overview.steps, key=lambda one: one.scenario):
        days = _result(newest(steps, "days")).get("days")
        if isinstance(days, list):
            found[scenario] = [day for day in days if _whole(day)]
    return found


def families(samples: Samples) -> Families:
    """The samples as prometheus_client takes them, in the order of the table of names."""
    for name in names.PIPELINE_NAMES:
        kind = CounterMetricFamily if name.kind == "counter" else GaugeMetricFamily
        family = kind(name.name, name.help, labels=name.labels)
        for (of, labels), value in samples.items():
            if of == name:
                family.add_metric(labels, value)
        if family.samples:
            yield family


class Rising:
    """Keeps counters from falling while the process lives, whatever happens to the rows that they count.

    A counter that has fallen goes on from where it stood: rows that were deleted stay counted, new ones are added.
    """

    def __init__(self) -> None:
        self._seen: Samples = {}
        self._gone: Samples = {}

    def __call__(self, samples: Samples) -> Samples:
        """The samples, with counters that never fall."""
        risen = dict(samples)
        for key, value in samples.items():
            if key[0].kind == "counter":
                self._gone[key] = self._gone.get(key, 0.0) + max(0.0, self._seen.get(key, 0.0) - value)
                self._seen[key] = value
                risen[key] = value + self._gone[key]
        return risen


def _attempts(one: StepTally) -> Samples:
    key = (one.scenario, one.step)
    found: Samples = {
        (names.STEP_RUNS, (*key, "done")): one.done,
        (names.STEP_RUNS, (*key, "failed")): one.failed,
        (names.STEP_RUNNING, key): float(one.newest.outcome == "running"),
        (names.STEP_BEGUN, key): one.newest.begun / 1000,
    }
    for outcome, ended in (("done", one.last_done), ("failed", one.last_failed)):
        if ended is not None:
            found[names.STEP_ENDED, (*key, outcome)] = ended / 1000
    if one.newest_ended is not None and one.newest_ended.ended is not None:
        found[names.STEP_DURATION, key] = (one.newest_ended.ended - one.newest_ended.begun) / 1000
    return found


def _rows(one: StepTally) -> Samples:
    result = _result(one.newest_done)
    read = {"in": result.get("rows_in"), "out": result.get("rows_out")}
    return _numbers(names.STEP_ROWS, (one.scenario, one.step), read)


def _rejected(scenario: str, steps: Iterable[StepTally]) -> Samples:
    return _numbers(names.REJECTED_ROWS, (scenario,), _under(steps, "rejected"))


def _recall(scenario: str, steps: Iterable[StepTally]) -> Samples:
    recall = _under(steps, "recall")
    by_source = {**_mapping(recall.get("by_source")), "union": recall.get("union")}
    return _numbers(names.CANDIDATE_RECALL, (scenario,), by_source)


def _quality(scenario: str, steps: Iterable[StepTally]) -> Samples:
    found: Samples = {}
    for recipe, metrics in _under(steps, "quality").items():
        found.update(_numbers(names.RECIPE_QUALITY, (scenario, recipe), _mapping(metrics)))
    return found


def _drift(scenario: str, steps: Iterable[StepTally]) -> Samples:
    """Nothing of a day that could not be judged."""
    run, drift = newest(steps, "drift"), _under(steps, "drift")
    if run is None or run.ended is None or drift.get("judged") is not True:
        return {}
    found: Samples = {(names.DRIFT_JUDGED, (scenario,)): run.ended / 1000}
    if isinstance(drift.get("drifted"), list):
        found[names.DRIFTED_FEATURES, (scenario,)] = len(drift["drifted"])
    for feature, about in _mapping(drift.get("features")).items():
        told = _mapping(about)
        found.update(_numbers(names.DRIFT_PSI, (scenario,), {feature: told.get("psi")}))
        found.update(_numbers(names.DRIFT_LIMIT, (scenario,), {feature: told.get("limit")}))
        missing = {"training": told.get("missing_training"), "last_day": told.get("missing_last_day")}
        found.update(_numbers(names.DRIFT_MISSING, (scenario, feature), missing))
    return found


def _day(scenario: str, days: Sequence[Mapping[str, Any]]) -> Samples:
    """The last complete day."""
    if not days:
        return {}
    day = days[-1]
    found = _numbers(names.DAY_EVENTS, (scenario,), {kind: day[field] for kind, field in DAY_KINDS.items()})
    found.update(_numbers(names.DAY_RATE, (scenario,), day_rates(day)))
    return {**found, (names.DAY_VISITORS, (scenario,)): day["visitors"], (names.DAY, (scenario,)): day_begin(day)}


def _whole(day: Any) -> bool:
    """Whether this row of `days` has everything that the series by day are made of."""
    try:
        return day_begin(day) >= 0 and len(day_rates(day)) >= 0 and all(_finite(day[name]) for name in COUNTS)
    except (KeyError, TypeError, ValueError):
        return False


def newest(steps: Iterable[StepTally], key: str) -> StepRun | None:
    """Of the newest attempts that were done, the last one whose result has this key."""
    having = [one.newest_done for one in steps if one.newest_done is not None and key in _result(one.newest_done)]
    return max(having, key=lambda one: one.ended or 0, default=None)


def _result(run: StepRun | None) -> Mapping[str, Any]:
    return _mapping(None if run is None else run.result)


def _under(steps: Iterable[StepTally], key: str) -> Mapping[str, Any]:
    return _mapping(_result(newest(steps, key)).get(key))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _numbers(name: MetricName, labels: tuple[str, ...], values: Mapping[str, Any]) -> Samples:
    """A sample for each value that is a finite number; its name is the last label."""
    return {(name, (*labels, label)): float(value) for label, value in values.items() if _finite(value)}


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
