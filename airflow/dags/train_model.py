"""One DAG per scenario, made from its declared steps; its id is the scenario's name."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, chain
from steps.settings import Settings
from steps.train_model import NewEventsOperator, ReportOperator, StepOperator, UnusableOperator

from vitrina.scenarios import SCENARIOS, Scenario, scenario

SETTINGS = Settings.read(os.environ)
LONGEST_STEP = timedelta(hours=6)

ABOUT = """
### {question}

Trains the scenario `{name}` on the events that lie in the store: `{steps}`.

The new model is served when it passes the gate: it must not be worse than the champion's recipe, and better than the
baselines. If a step fails, what is served stays as it was, and the message names the step, the reason and its log.

**Runs** every day (`{cron}` UTC), when new events arrive, and when you press *Trigger*; never two at a time.

**Parameters**: `as_of` uses only events before that day; `tune` searches the hyper-parameters first; `force` promotes
whatever the gate says.

**After a failure** look at the task's log, remove the cause, and *Clear* the failed task with what follows it: the run
goes on from there, with the same end of time.
"""

UNUSABLE = """
### The scenario `{name}` cannot be loaded

Its one task says why. The other scenarios are not affected.
"""

PARAMS = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="Use only events before this day (UTC). Empty: everything until the run starts.",
    ),
    "tune": Param(
        0,
        type="integer",
        minimum=0,
        maximum=500,
        title="Tune",
        description="Search the hyper-parameters with this many trials first. 0: keep those of the last search.",
    ),
    "force": Param(
        False,
        type="boolean",
        title="Promote whatever the gate says",
        description="The new model is served even if it is worse than the present one.",
    ),
}


def training(declared: Scenario, events: Asset) -> DAG:
    """The declared steps in their order, then the report, which runs whatever happened and decides nothing."""
    names = [step.name for step in declared.steps]
    about = ABOUT.format(
        question=declared.question, name=declared.name, steps=" → ".join(names), cron=SETTINGS.retrain_cron
    )
    with _dag(declared.name, about, events) as dag:
        steps = [
            StepOperator(
                scenario=declared.name,
                step=name,
                retries=SETTINGS.retries,
                retry_delay=SETTINGS.retry_delay,
                execution_timeout=LONGEST_STEP,
            )
            for name in names
        ]
        chain(*steps, _report(declared.name, declared.registered_model, names))
    return dag


def unusable(name: str, error: Exception, events: Asset) -> DAG:
    """The same id and schedule with one task that fails with the error, so that it is seen and told."""
    with _dag(name, UNUSABLE.format(name=name), events) as dag:
        failing = UnusableOperator(task_id="load", reason=f"{type(error).__name__}: {error}")
        failing >> _report(name, None, ["load"])
    return dag


def watching(name: str, events: Asset) -> DAG:
    """Looks for new events every few minutes."""
    dag = DAG(
        f"{name}_events",
        schedule=CronTriggerTimetable(SETTINGS.events_cron, timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        tags=["vitrina"],
        description=f"Says when new events of {name} have arrived; that starts a training.",
    )
    with dag:
        NewEventsOperator(task_id="look", scenario=name, asset=events, execution_timeout=timedelta(minutes=10))
    return dag


def _dag(name: str, about: str, events: Asset) -> DAG:
    # the first run at the next such time, however lately one has passed
    daily = CronTriggerTimetable(SETTINGS.retrain_cron, timezone="UTC", run_immediately=timedelta(0))
    return DAG(
        name,
        schedule=AssetOrTimeSchedule(assets=[events], timetable=daily),
        catchup=False,
        max_active_runs=1,
        params=PARAMS,
        tags=["vitrina"],
        doc_md=about,
    )


def _report(name: str, registered_model: str | None, steps: list[str]) -> ReportOperator:
    report = ReportOperator(
        task_id="report",
        scenario=name,
        registered_model=registered_model,
        steps=steps,
        retries=3,
        retry_delay=SETTINGS.retry_delay,
    )
    report.as_teardown(on_failure_fail_dagrun=False)
    return report


for one in SCENARIOS:
    arrived = Asset(f"{one}_events")
    try:
        found = scenario(one)
    except Exception as error:  # whatever a declaration raises, the others go on
        globals()[one] = unusable(one, error, arrived)
    else:
        globals()[one] = training(found, arrived)
    globals()[f"{one}_events"] = watching(one, arrived)
