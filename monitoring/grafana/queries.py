"""Pieces of PromQL that the dashboards share: the choices at the top, shares that survive silence, marks."""

from __future__ import annotations

from .board import Mark, Variable

SCENARIO = Variable("scenario", "vitrina_recommendations_total", "Which recommender")
TRAINED = Variable("scenario", "vitrina_step_runs_total", "Which recommender")
REPLICA = Variable("instance", 'up{job="app"}', "Which replicas of the service", name="replica", whole=".*")
VERSION = Variable(
    "version",
    'vitrina_model_info{scenario=~"$scenario"}',
    "Shows a replica only while it serves nothing but these model versions",
    whole=".*",
)

OTHER_VERSIONS = '(vitrina_model_info{scenario=~"$scenario", version!~"$version"} > 0)'

ALERTS = Mark(
    "Alerts",
    'sum by (alertname, severity) (ALERTS{alertstate="firing"})',
    "{{alertname}}",
    "{{severity}}",
    "red",
)
SWAPS = Mark(
    "Swaps of the model",
    'max by (scenario) (vitrina_model_loaded_timestamp_seconds{scenario=~"$scenario"}) * 1000',
    "New model",
    "{{scenario}}",
    "blue",
    of_value=True,
)
TRAININGS = Mark(
    "Trainings",
    'max by (scenario) (vitrina_training_succeeded_timestamp_seconds{scenario=~"$scenario"}) * 1000',
    "Training done",
    "{{scenario}}",
    "green",
    of_value=True,
)


def rate(metric: str, labels: str = "", *, of_scenario: bool = False) -> str:
    """Growth of a service's counter per second, on the chosen replicas while they serve the chosen versions."""
    return _of_versions(f"rate({_chosen(metric, labels, of_scenario)}[$__rate_interval])", of_scenario)


def now(metric: str, labels: str = "", *, of_scenario: bool = False) -> str:
    """A gauge of the service, on the chosen replicas while they serve the chosen versions."""
    return _of_versions(_chosen(metric, labels, of_scenario), of_scenario)


def share(part: str, whole: str) -> str:
    """A part of a whole: 0 when the part has not been seen yet, nothing while the whole is at rest."""
    return f"(sum({part}) or vector(0)) / (sum({whole}) > 0)"


def or_none(expression: str, label: str) -> str:
    """The expression; while it has no series, a zero that is called `none`."""
    return f'({expression}) or on () label_replace(vector(0), "{label}", "none", "", "")'


def quantile(q: float, rates: str, by: str = "") -> str:
    """A quantile of a histogram from the rates of its buckets; nothing while it is at rest."""
    return f"histogram_quantile({q}, sum by (le{', ' + by if by else ''}) ({rates})) >= 0"


def _chosen(metric: str, labels: str, of_scenario: bool) -> str:
    matchers = ['instance=~"$replica"', 'scenario=~"$scenario"' if of_scenario else "", labels]
    return f"{metric}{{{', '.join(one for one in matchers if one)}}}"


def _of_versions(expression: str, of_scenario: bool) -> str:
    return f"({expression} unless on ({'scenario, instance' if of_scenario else 'instance'}) {OTHER_VERSIONS})"
