"""The pipeline's half of the table of metric names: what the exporter tells from the state database at each scrape."""

from __future__ import annotations

from vitrina.telemetry.names import GRAPHITE_DROPPED, GRAPHITE_SENT, MetricName

STEP_RUNS = MetricName(
    name="vitrina_step_runs_total",
    kind="counter",
    help="Finished attempts of a step by outcome (done or failed).",
    labels=("scenario", "step", "outcome"),
)
STEP_DURATION = MetricName(
    name="vitrina_step_duration_seconds",
    kind="gauge",
    help="Duration of the step's last finished attempt.",
    labels=("scenario", "step"),
)
STEP_ENDED = MetricName(
    name="vitrina_step_ended_timestamp_seconds",
    kind="gauge",
    help="Time at which the step last ended with this outcome.",
    labels=("scenario", "step", "outcome"),
)
STEP_BEGUN = MetricName(
    name="vitrina_step_begun_timestamp_seconds",
    kind="gauge",
    help="Time at which the step's newest attempt began.",
    labels=("scenario", "step"),
)
STEP_RUNNING = MetricName(
    name="vitrina_step_running",
    kind="gauge",
    help="1 while an attempt of the step is under way.",
    labels=("scenario", "step"),
)
STEP_ROWS = MetricName(
    name="vitrina_step_rows",
    kind="gauge",
    help="Rows that the last done attempt read (in) and wrote (out).",
    labels=("scenario", "step", "direction"),
)
REJECTED_ROWS = MetricName(
    name="vitrina_rejected_rows",
    kind="gauge",
    help="Rows of the shop's files that the last validation left out, by reason.",
    labels=("scenario", "reason"),
)
CANDIDATE_RECALL = MetricName(
    name="vitrina_candidate_recall",
    kind="gauge",
    help="Share of the held-out carts that a candidate source finds; source union is all of them together.",
    labels=("scenario", "source"),
)
RECIPE_QUALITY = MetricName(
    name="vitrina_recipe_quality",
    kind="gauge",
    help="Quality of a recipe in the last evaluation, by metric.",
    labels=("scenario", "recipe", "metric"),
)
GATE_OUTCOMES = MetricName(
    name="vitrina_gate_outcomes_total",
    kind="counter",
    help="Decisions of the gate by outcome (promoted or refused).",
    labels=("scenario", "outcome"),
)
GATE_REFUSALS = MetricName(
    name="vitrina_gate_refusals_in_a_row",
    kind="gauge",
    help="Refusals of the gate since it last promoted.",
    labels=("scenario",),
)
TRAINING_SUCCEEDED = MetricName(
    name="vitrina_training_succeeded_timestamp_seconds",
    kind="gauge",
    help="End of the last run whose last step was done.",
    labels=("scenario",),
)
DRIFT_PSI = MetricName(
    name="vitrina_drift_psi",
    kind="gauge",
    help="Population stability index of a feature between training and the last day.",
    labels=("scenario", "feature"),
)
DRIFT_LIMIT = MetricName(
    name="vitrina_drift_limit",
    kind="gauge",
    help="Index from which a feature counts as drifted.",
    labels=("scenario", "feature"),
)
DRIFT_MISSING = MetricName(
    name="vitrina_drift_missing_share",
    kind="gauge",
    help="Share of missing values of a feature, in training and on the last day.",
    labels=("scenario", "feature", "part"),
)
DRIFTED_FEATURES = MetricName(
    name="vitrina_drifted_features",
    kind="gauge",
    help="Number of drifted features in the last judgement.",
    labels=("scenario",),
)
DRIFT_JUDGED = MetricName(
    name="vitrina_drift_judged_timestamp_seconds",
    kind="gauge",
    help="Time of the last judgement on drift.",
    labels=("scenario",),
)
DAY_EVENTS = MetricName(
    name="vitrina_day_events",
    kind="gauge",
    help="Events of the last complete day by kind.",
    labels=("scenario", "kind"),
)
DAY_VISITORS = MetricName(
    name="vitrina_day_visitors",
    kind="gauge",
    help="Visitors of the last complete day.",
    labels=("scenario",),
)
DAY_RATE = MetricName(
    name="vitrina_day_rate",
    kind="gauge",
    help="Conversion rates of the last complete day.",
    labels=("scenario", "rate"),
)
DAY = MetricName(
    name="vitrina_day_timestamp_seconds",
    kind="gauge",
    help="Begin of the last complete day (UTC).",
    labels=("scenario",),
)
DISK_FREE = MetricName(
    name="vitrina_disk_free_bytes",
    kind="gauge",
    help="Free bytes of a watched volume.",
    labels=("volume",),
)
DISK_SIZE = MetricName(
    name="vitrina_disk_size_bytes",
    kind="gauge",
    help="Size of a watched volume.",
    labels=("volume",),
)
STATE_UP = MetricName(
    name="vitrina_state_up",
    kind="gauge",
    help="1 when this scrape could read the state database.",
)

PIPELINE_NAMES: tuple[MetricName, ...] = (
    STEP_RUNS,
    STEP_DURATION,
    STEP_ENDED,
    STEP_BEGUN,
    STEP_RUNNING,
    STEP_ROWS,
    REJECTED_ROWS,
    CANDIDATE_RECALL,
    RECIPE_QUALITY,
    GATE_OUTCOMES,
    GATE_REFUSALS,
    TRAINING_SUCCEEDED,
    DRIFT_PSI,
    DRIFT_LIMIT,
    DRIFT_MISSING,
    DRIFTED_FEATURES,
    DRIFT_JUDGED,
    DAY_EVENTS,
    DAY_VISITORS,
    DAY_RATE,
    DAY,
    DISK_FREE,
    DISK_SIZE,
    STATE_UP,
    GRAPHITE_SENT,
    GRAPHITE_DROPPED,
)
