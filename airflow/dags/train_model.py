"""One DAG per scenario, made from its declared steps; its id is the scenario's name."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, chain
from steps.settings import Settings
from steps.train_model import ExtractOperator, NewDataOperator, ReportOperator, StepOperator, UnusableOperator

from vitrina.scenarios import SCENARIOS, Scenario, scenario

SETTINGS = Settings.read(os.environ)
LONGEST_STEP = timedelta(hours=6)
TRAINING_POOL = "training"
"""Its slots say how many steps run at a time, of all scenarios together: one is what a machine's memory is made for."""

ABOUT = """
### {question}

Trains the scenario `{name}` on the data that lies in the store: `{steps}`.

The new model is served when it passes the gate: it must not be worse than the champion's recipe, and better than the
baselines. If a step fails, what is served stays as it was, and the message names the step, the reason and its log.

**Runs** every day (`{cron}` UTC), when new data arrives, and when you press *Trigger*; never two at a time. A run by
the clock is skipped as long as no data has ever arrived.

**Parameters**: each says in the form what it does; a run by itself uses the default of all.

**After a failure** look at the task's log, remove the cause, and *Clear* the failed task with what follows it: the run
goes on from there, with the same end of time.
"""

UNUSABLE = """
### The scenario `{name}` cannot be loaded

Its one task says why. The other scenarios are not affected.
"""

ASKED_OF_ALL = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="Use only data before this day (UTC). Empty: everything until the run starts.",
    ),
    "force": Param(
        False,
        type="boolean",
        title="Promote whatever the gate says",
        description="The new model is served even if it is worse than the present one.",
    ),
    "challenger": Param(
        False,
        type="boolean",
        title="Do not promote",
        description="What the gate lets pass waits as challenger until somebody promotes it: vitrina promote SCENARIO.",
    ),
}
TUNE = Param(
    0,
    type="integer",
    minimum=0,
    maximum=500,
    title="Tune",
    description="Search the hyper-parameters with this many trials first. 0: keep those of the last search.",
)


def training(declared: Scenario, events: Asset) -> DAG:
    """The declared steps in their order, then the report, which runs whatever happened and decides nothing."""
    names = [step.name for step in declared.steps]
    about = ABOUT.format(
        question=declared.question, name=declared.name, steps=" → ".join(names), cron=SETTINGS.retrain_cron
    )
    how: dict[str, Any] = {
        "scenario": declared.name,
        "retries": SETTINGS.retries,
        "retry_delay": SETTINGS.retry_delay,
        "execution_timeout": LONGEST_STEP,
        "pool": TRAINING_POOL,
    }
    with _dag(declared.name, about, events, _params(declared)) as dag:
        first = ExtractOperator(step=names[0], asset=events, **how)
        rest = [StepOperator(step=name, **how) for name in names[1:]]
        model = SETTINGS.registered_model(declared.settings_prefix) or declared.registered_model
        chain(first, *rest, _report(declared.name, model, names))
    return dag


def unusable(name: str, error: Exception, events: Asset) -> DAG:
    """The same id and schedule with one task that fails with the error, so that it is seen and told."""
    with _dag(name, UNUSABLE.format(name=name), events, ASKED_OF_ALL) as dag:
        failing = UnusableOperator(task_id="load", reason=f"{type(error).__name__}: {error}")
        failing >> _report(name, None, ["load"])
    return dag


def watching(name: str, events: Asset) -> DAG:
    """Looks for new data every few minutes."""
    dag = DAG(
        f"{name}_events",
        schedule=CronTriggerTimetable(SETTINGS.events_cron, timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        tags=["vitrina"],
        description=f"Says when new data of {name} has arrived; that starts a training.",
    )
    with dag:
        NewDataOperator(task_id="look", scenario=name, asset=events, execution_timeout=timedelta(minutes=10))
    return dag


def _params(declared: Scenario) -> dict[str, Param]:
    """The form; a scenario with named recipes lets choose one."""
    form = {**ASKED_OF_ALL, "tune": TUNE}
    if not declared.recipes:
        return form
    recipe = Param(
        declared.recipes[0],
        type="string",
        enum=list(declared.recipes),
        title="Recipe",
        description="The named configuration to train.",
    )
    return {**form, "recipe": recipe}


def _dag(name: str, about: str, events: Asset, params: dict[str, Param]) -> DAG:
    # the first run at the next such time, however lately one has passed
    daily = CronTriggerTimetable(SETTINGS.retrain_cron, timezone="UTC", run_immediately=timedelta(0))
    return DAG(
        name,
        schedule=AssetOrTimeSchedule(assets=[events], timetable=daily),
        catchup=False,
        max_active_runs=1,
        params=params,
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
