"""How a run can be followed: its name in every log line, and its steps as spans of one trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import vitrina
from vitrina.scenarios import Run, Step
from vitrina.telemetry import logs
from vitrina.telemetry.traces import open_tracing

Around = Callable[[Step], AbstractContextManager[object]]


@contextmanager
def trail(run: Run, environment: Mapping[str, str], *, whole: bool = False) -> Iterator[Around]:
    """Gives what each step of the run stands inside; `whole` puts one span around all of them.

    The spans go on from TRACEPARENT (W3C) when the environment has it; else the trace's id follows from scenario and
    run id, so that steps started one by one make up one trace, too.
    """
    known = {"scenario": run.scenario} if run.run_id is None else {"scenario": run.scenario, "run_id": run.run_id}
    logs.bind(scenario=run.scenario, run_id=run.run_id)
    tracing = open_tracing(
        environment,
        service="vitrina-pipeline",
        version=vitrina.__version__,
        run_id=None if run.run_id is None else f"{run.scenario} {run.run_id}",
    )
    if tracing is None:
        yield _bound
        return
    carrier = {name.lower(): environment[name] for name in ("TRACEPARENT", "TRACESTATE") if environment.get(name)}
    attributes = {f"vitrina.{name}": value for name, value in known.items()}

    @contextmanager
    def around(step: Step) -> Iterator[None]:
        logs.bind(step=step.name)
        facts = {**attributes, "vitrina.step": step.name}
        with tracing.span(f"{run.scenario} {step.name}", carrier=carrier, attributes=facts) as span:
            logs.bind(trace_id=f"{span.get_span_context().trace_id:032x}")
            yield

    try:
        with tracing.span(f"{run.scenario} train", carrier=carrier, attributes=attributes) if whole else nullcontext():
            yield around
    finally:
        tracing.close()


def _bound(step: Step) -> AbstractContextManager[object]:
    logs.bind(step=step.name)
    return nullcontext()
