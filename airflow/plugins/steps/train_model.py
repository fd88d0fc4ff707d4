"""Tasks around `vitrina`: a step of a scenario, the look for new data, and the report of a run.

What a run was asked for flows in from its parameters, JSON results flow out through XCom; data passes by object URI
inside Vitrina and never through here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from steps.child_process import BAD_INPUT, Child
from steps.messages import Outcome, text_of
from steps.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

TELEGRAM_DAG = "telegram"
FAILURE = "failure"
"""XCom key under which a failed task leaves its reason."""


class VitrinaOperator(BaseOperator):
    """A task that is one call of `vitrina ... --json`; its JSON answer is the task's result."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._child: Child | None = None

    def arguments(self, context: Context) -> Sequence[str]:
        """What follows `vitrina` on the command line."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        return self.call(self.arguments(context), context)

    def call(self, arguments: Sequence[str], context: Context) -> dict[str, Any]:
        """The answer of one call; what it says on the way flows into the task's log."""
        settings = Settings.read(os.environ)
        command = [settings.command, *arguments, "--json"]
        self.log.info("%s", " ".join(command))
        self._child = Child(command, {**settings.environment, **_trace()})
        ended = self._child.run(lambda level, line: self.log.log(level, "%s", line))
        if ended.code == 0:
            return dict(ended.document)
        context["ti"].xcom_push(key=FAILURE, value=ended.reason)
        text = f"{self.task_id}: {ended.reason}"
        raise AirflowFailException(text) if ended.code == BAD_INPUT else AirflowException(text)

    def on_kill(self) -> None:
        if self._child is not None:
            self._child.stop()


class StepOperator(VitrinaOperator):
    """One declared step of a scenario. Every task and try of a run passes the same `--as-of`."""

    def __init__(self, *, scenario: str, step: str, **kwargs: Any) -> None:
        super().__init__(task_id=step, **kwargs)
        self.scenario = scenario
        self.step = step

    def arguments(self, context: Context) -> Sequence[str]:
        params, run = context["params"], context["dag_run"]
        asked = ["step", self.scenario, self.step, "--run-id", run.run_id, "--as-of", as_of(context)]
        if params.get("tune"):
            asked += ["--tune", str(params["tune"])]
        if params.get("recipe"):
            asked += ["--recipe", params["recipe"]]
        return [*asked, *(f"--{name}" for name in ("force", "challenger") if params[name])]


class ExtractOperator(StepOperator):
    """The first step. A run by the clock is skipped as long as nothing has ever lain where the data should; later on,
    nothing there is a failure like any other."""

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[asset], **kwargs)
        self.asset = asset

    def execute(self, context: Context) -> dict[str, Any]:
        by_the_clock = context["dag_run"].run_type == "scheduled"
        never_told = not len(context["inlet_events"][self.asset].limit(1))
        if by_the_clock and never_told and self.call(data_of(self.scenario), context)["fingerprint"] is None:
            raise AirflowSkipException("no data lies there yet")
        return super().execute(context)


class UnusableOperator(BaseOperator):
    """Fails with the reason for which a scenario could not be loaded."""

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: Context) -> None:
        context["ti"].xcom_push(key=FAILURE, value=self.reason)
        raise AirflowFailException(self.reason)


class NewDataOperator(VitrinaOperator):
    """Says that there is new data (an event of `asset`) when what lies there differs from what it said last."""

    def __init__(self, *, scenario: str, asset: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[asset], outlets=[asset], **kwargs)
        self.scenario = scenario
        self.asset = asset

    def arguments(self, context: Context) -> Sequence[str]:
        return data_of(self.scenario)

    def execute(self, context: Context) -> dict[str, Any]:
        found = super().execute(context)
        if found["fingerprint"] is None:
            raise AirflowSkipException("no data lies there yet")
        told = context["inlet_events"][self.asset].ascending(False).limit(1)
        there = {name: found[name] for name in ("newest_day", "file", "bytes") if name in found}
        if len(told) and told[0].extra.get("fingerprint") == found["fingerprint"]:
            raise AirflowSkipException(f"nothing new: there is still {there}")
        self.log.info("new data: %s", there)
        context["outlet_events"][self.asset].extra = {"fingerprint": found["fingerprint"], **there}
        return {"fingerprint": found["fingerprint"], **there}


class ReportOperator(TriggerDagRunOperator):
    """Hands one message about the run to the DAG `telegram`, which sends it and tries again as long as it must.

    The run id over there is made of how the steps ended, so a second try of this task hands over nothing new.
    """

    def __init__(self, *, scenario: str, registered_model: str | None, steps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=TELEGRAM_DAG, logical_date=None, skip_when_already_exists=True, deferrable=False, **kwargs
        )
        self.scenario = scenario
        self.registered_model = registered_model
        self.steps = list(steps)

    def execute(self, context: Context) -> None:
        settings = Settings.read(os.environ)
        ti, run = context["ti"], context["dag_run"]
        crumbs = [one for one in ti.get_task_breadcrumbs(ti.dag_id, run.run_id) if one["task_id"] in self.steps]
        states = {one["task_id"]: one["state"] for one in crumbs}
        failed = next((step for step in self.steps if states.get(step) == "failed"), None)
        if set(states.values()) == {"skipped"}:
            raise AirflowSkipException("nothing was run, so there is nothing to tell")
        page = f"{settings.airflow_page}/dags/{ti.dag_id}/runs/{run.run_id}"
        outcome = Outcome(
            scenario=self.scenario,
            as_of=as_of(context),
            results={step: ti.xcom_pull(task_ids=step) or {} for step in self.steps if states.get(step) == "success"},
            complete=all(states.get(step) == "success" for step in self.steps),
            failed=failed,
            reason=ti.xcom_pull(task_ids=failed, key=FAILURE) if failed else None,
            run_page=page,
            log_page=f"{page}/tasks/{failed}" if failed else page,
            model_pages=model_pages(settings, self.registered_model),
        )
        text = text_of(outcome)
        self.log.info("%s", text)
        if not settings.tells:
            self.log.warning("No message is sent: VITRINA_TELEGRAM_TOKEN and VITRINA_TELEGRAM_CHAT_ID are not both set")
            return
        self.trigger_run_id = f"{ti.dag_id}__{run.run_id[:100]}__{_digest(run.run_id, crumbs)}"
        self.conf = {"text": text}
        super().execute(context)


def as_of(context: Context) -> str:
    """The run's end of time: the parameter, else the moment from which the run could start, which all its tasks and
    tries share (a run started by hand has no logical date)."""
    return str(context["params"].get("as_of") or context["dag_run"].run_after.isoformat())


def data_of(scenario: str) -> list[str]:
    """The call that tells what data of a scenario lies there."""
    return ["events", "--scenario", scenario]


def _trace() -> dict[str, str]:
    """Where the child's spans go on from, when Airflow writes spans itself."""
    if not trace.get_current_span().is_recording():
        return {}
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name.upper(): value for name, value in carrier.items()}


def model_pages(settings: Settings, model: str | None) -> str | None:
    """The address of a registered model's versions, None without a registry that people can see."""
    if settings.registry_page is None or model is None:
        return None
    return f"{settings.registry_page}/#/models/{model}/versions"


def _digest(run_id: str, crumbs: Sequence[Mapping[str, Any]]) -> str:
    ends = sorted((one["task_id"], one["state"], one["duration"]) for one in crumbs)
    return hashlib.sha256(json.dumps([run_id, ends]).encode()).hexdigest()[:12]
