"""A run can be followed: JSON lines with its name, and one trace, whichever processes run its steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_server import OtlpServer

START = f"""
import sys
from vitrina.scenarios import SCENARIOS
sys.path.append({str(Path(__file__).parents[1] / "pipelines")!r})
SCENARIOS["planted"] = "planted_scenario"
from vitrina.cli import main
main()
"""
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRETS = {"VITRINA_S3_ACCESS_KEY": "vitrina", "VITRINA_S3_SECRET_KEY": "planted-s3-secret"}


@pytest.fixture
def collector() -> Iterator[OtlpServer]:
    with OtlpServer() as server:
        yield server


def vitrina(home: Path, *arguments: str, code: int = 0, **environment: str) -> list[dict[str, str]]:
    """The lines that `vitrina` writes, read as JSON."""
    orders = home / "orders"
    orders.mkdir(parents=True, exist_ok=True)
    own = {"VITRINA_HOME": str(home), "PLANTED_ORDERS": str(orders), "VITRINA_LOG_FORMAT": "json", "PATH": "/bin"}
    done = subprocess.run(
        [sys.executable, "-c", START, *arguments],
        env={**own, **SECRETS, "HOME": os.environ.get("HOME", str(home)), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    assert "planted-s3-secret" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_the_lines_of_a_training_name_run_scenario_and_step(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "second").write_text("fail")
    lines = vitrina(tmp_path, "train", "planted", "--run-id", "daily-1", code=1)
    assert [(one["level"], one["step"], one["message"].partition(":")[0]) for one in lines] == [
        ("info", "first", "first begins"),
        ("info", "first", "first"),
        ("info", "second", "second begins"),
        ("error", "second", "error"),
    ]
    assert {(one["run_id"], one["scenario"]) for one in lines} == {("daily-1", "planted")}


def test_a_run_without_a_name_has_none_in_its_lines(tmp_path: Path) -> None:
    assert all("run_id" not in one for one in vitrina(tmp_path, "step", "planted", "first"))


def test_what_cannot_be_recorded_is_a_warning(tmp_path: Path) -> None:
    away = ("--run-id", "r1", "--state-uri", "postgresql://u:planted-password@127.0.0.1:1/vitrina")
    lines = vitrina(tmp_path, "step", "planted", "first", *away)
    warning = next(one for one in lines if one["level"] == "warning")
    assert "is not recorded" in warning["message"]
    assert "planted-password" not in str(warning)


def test_a_wrong_option_is_one_line(tmp_path: Path) -> None:
    (line,) = vitrina(tmp_path, "step", "--nothing", code=2)
    assert (line["level"], line["message"]) == ("error", "error: No such option: --nothing")


def test_a_training_is_one_trace_with_a_span_per_step(tmp_path: Path, collector: OtlpServer) -> None:
    asked = ("train", "planted", "--as-of", "2015-09-01", "--run-id", "daily-1")
    vitrina(tmp_path, *asked, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    (whole,), (first,), (second,) = (collector.named(f"planted {name}") for name in ("train", "first", "second"))
    assert (whole.parent, first.parent, second.parent) == ("", whole.span, whole.span)
    assert whole.begin <= first.begin <= first.end <= second.begin <= second.end <= whole.end
    assert first.attributes == {
        "vitrina.scenario": "planted",
        "vitrina.run_id": "daily-1",
        "vitrina.step": "first",
    }
    assert first.resource["service.name"] == "vitrina-pipeline"


def test_steps_of_one_run_make_up_one_trace_of_its_own(tmp_path: Path, collector: OtlpServer) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    lines = vitrina(tmp_path, "step", "planted", "first", "--run-id", "daily-1", **endpoint)
    (tmp_path / "orders" / "second").write_text("bad input")
    vitrina(tmp_path, "step", "planted", "second", "--run-id", "daily-1", code=2, **endpoint)
    vitrina(tmp_path, "step", "planted", "first", "--run-id", "daily-2", **endpoint)
    (first, again), (second,) = collector.named("planted first", 2), collector.named("planted second")
    assert first.trace == second.trace != again.trace
    assert first.span != second.span
    assert first.attributes["vitrina.run_id"] == "daily-1"
    assert {one["trace_id"] for one in lines if "step" in one} == {first.trace}
    assert (first.failed, second.failed) == (False, True)
    assert second.why == "DataError: events.csv: row 7 has no user. Correct it"


def test_a_step_goes_on_from_the_callers_span(tmp_path: Path, collector: OtlpServer) -> None:
    asked = ("step", "planted", "first", "--run-id", "daily-1")
    vitrina(tmp_path, *asked, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACEPARENT=CALLER)
    (span,) = collector.named("planted first")
    assert (span.trace, span.parent) == (CALLER[3:35], CALLER[36:52])


def test_a_collector_that_is_away_fails_no_step_and_is_said_once(tmp_path: Path) -> None:
    lines = vitrina(
        tmp_path, "train", "planted", "--as-of", "2015-09-01", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    )
    said = [one for one in lines if "collector" in one["message"]]
    assert [one["level"] for one in said] == ["warning"]
    assert all(not one["logger"].startswith(("opentelemetry", "urllib3")) for one in lines)
