"""Every alert fires on made-up series and stays silent on healthy ones, by the real promtool; each has a runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from vitrina.events.baskets.cleaning import REASONS
from vitrina.telemetry.names import SERVICE_NAMES
from vitrina.telemetry.pipeline_names import PIPELINE_NAMES

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
SEVERITIES = {"critical", "warning"}
ISSUE_NAMES = {
    *("ServiceDown", "SlowAnswers", "ErrorRate", "FallbackShare", "ModelStale"),
    *("NoSuccessfulTraining", "GateRefusedTwice", "FeatureDrift", "DiskFilling"),
}
OF_OTHERS = {"up", "alertmanager_notifications_failed_total"}
METRIC = re.compile(r"\b(vitrina_\w+|alertmanager_\w+|prometheus_\w+|up(?=\{))")
RECORDED = re.compile(r"\b[a-z]+:vitrina_\w+:\w+")


def promtool(*arguments: str) -> str:
    """Runs promtool beside prometheus.yml; what it printed. Fails when it fails."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("NO PROMETHEUS: apt install prometheus")
    done = subprocess.run([program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def cases() -> dict[str, set[bool]]:
    """Alert -> whether some made-up series make it fire, and whether others leave it silent."""
    found: dict[str, set[bool]] = {name: set() for name in ALERTS}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                found[case["alertname"]].add(bool(case.get("exp_alerts")))
    return found


def test_configuration_and_rules_are_valid() -> None:
    assert f"{len(RULES)} rule files found" in promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_as_written(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", f"tests/{path.name}")


def test_a_rule_that_is_broken_is_seen(tmp_path: Path) -> None:
    for folder in ("rules", "tests"):
        shutil.copytree(PROMETHEUS / folder, tmp_path / folder)
    rule = tmp_path / "rules" / "service.yml"
    rule.write_text(rule.read_text().replace('absent(up{job="app"} == 1)', 'absent(up{job="app"})'))
    with pytest.raises(AssertionError, match="the only replica is listed and does not answer"):
        promtool("test", "rules", str(tmp_path / "tests" / "service_test.yml"))


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert {name for name, found in cases().items() if found != {True, False}} == set()
    assert set(ALERTS) >= ISSUE_NAMES


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_tells_an_operator_what_to_know(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"[1-9]\d*[mh]", rule["for"])
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/monitor.md#{name.lower()}"
    assert len(rule["annotations"]["summary"]) < 80
    assert "{{" not in rule["annotations"]["summary"], "a summary stands for all alerts of its group"


def test_every_runbook_is_there_and_none_is_left_over() -> None:
    page = (ROOT / "docs" / "monitor.md").read_text()
    part = page.partition("\n## Alerts and runbooks\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^#### (\w+)$", part, re.MULTILINE)) == set(ALERTS)


def test_rules_name_metrics_that_exist() -> None:
    known = set(OF_OTHERS)
    for metric in (*SERVICE_NAMES, *PIPELINE_NAMES):
        parts = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        known |= {metric.name + part for part in parts}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    texts = [rule["expr"] + "".join(rule.get("annotations", {}).values()) for rule in rules()]
    assert {name for text in texts for name in RECORDED.findall(text)} <= recorded
    assert {name for text in texts for name in METRIC.findall(RECORDED.sub("", text))} - known == set()


def test_what_is_no_sale_is_no_rejected_row() -> None:
    (left_out,) = re.findall(r'reason!~"([^"]+)"', ALERTS["RowsRejected"]["expr"])
    assert set(left_out.split("|")) == set(REASONS)


def test_series_of_the_tests_have_the_labels_that_the_metrics_have() -> None:
    labels = {name.name: set(name.labels) for name in (*SERVICE_NAMES, *PIPELINE_NAMES)}
    given: set[tuple[str, frozenset[str]]] = set()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for series in test["input_series"]:
                name, _, rest = series["series"].partition("{")
                found = set(re.findall(r"(\w+)=", rest)) - {"job", "instance", "le"}
                given.add((name.removesuffix("_bucket"), frozenset(found)))
    assert {(name, found) for name, found in given if name in labels and found != labels[name]} == set()
    assert {name for name, _ in given} - set(labels) - OF_OTHERS == set()
