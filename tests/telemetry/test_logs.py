"""Log lines: their form, their fields, and what never stands in them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from vitrina.errors import ConfigError
from vitrina.telemetry import logs

SECRETS = {"VITRINA_ADMIN_TOKEN": "planted-admin", "VITRINA_S3_SECRET_KEY": "planted-s3"}
STRANGERS = """
import logging, os, sys, threading, warnings
from vitrina.telemetry import logs
logs.configure(os.environ, terminal=False)
logs.bind(run_id="r1")
warnings.warn("old ways")
logging.getLogger("alembic.runtime").warning("migrates %s", "slowly")
logging.getLogger("sqlalchemy.engine").info("SELECT 1")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError("planted-admin")
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leaves the process as it was found."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ("", *logs.OURS)}
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    logs.bind(run_id=None, scenario=None)


def configured(**environment: str) -> logging.Logger:
    logs.configure({"VITRINA_LOG_FORMAT": "json", **environment}, terminal=False)
    return logging.getLogger("vitrina.tested")


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().err.splitlines()[-1])
    return found


def test_a_json_line_has_time_level_logger_and_message(capsys) -> None:
    configured().warning("%s of %d", "товар", 7)
    line = last(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert line == {"level": "warning", "logger": "vitrina.tested", "message": "товар of 7"}


def test_an_exception_is_one_field_of_the_line(capsys) -> None:
    log = configured()
    try:
        raise KeyError("lost")
    except KeyError:
        log.exception("it failed")
    line = last(capsys)
    assert line["message"] == "it failed"
    assert str(line["exception"]).startswith("Traceback")
    assert str(line["exception"]).endswith("KeyError: 'lost'")


def test_fields_of_process_request_and_record(capsys) -> None:
    log = configured()
    logs.bind(run_id="r1", scenario="storefront")

    def request() -> None:
        logs.REQUEST.set({"request_id": "q1"})
        log.info("inside", extra={"fields": {"status": 503, "odd": object}})

    copy_context().run(request)
    inside = last(capsys)
    assert {name: inside[name] for name in ("run_id", "scenario", "request_id", "status")} == {
        "run_id": "r1",
        "scenario": "storefront",
        "request_id": "q1",
        "status": 503,
    }
    logs.bind(scenario=None)
    thread = threading.Thread(target=lambda: log.info("beside"))
    thread.start()
    thread.join()
    beside = last(capsys)
    assert beside["run_id"] == "r1"
    assert not {"scenario", "request_id"} & beside.keys()


def test_a_text_line_is_for_people(capsys) -> None:
    logs.configure({}, terminal=False)
    logs.REQUEST.set({})
    logging.getLogger("vitrina.tested").warning("a\nforged\x1b[31m line", extra={"fields": {"status": 422}})
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert re.fullmatch(r"\S+Z WARNING vitrina.tested: a\\nforged\\x1b\[31m line status=422\n", line)


@pytest.mark.parametrize(
    ("environment", "terminal", "json_lines", "colours"),
    [
        ({}, True, False, True),
        ({}, False, False, False),
        ({"NO_COLOR": "1"}, True, False, False),
        ({"VITRINA_LOG_FORMAT": "auto"}, True, False, True),
        ({"VITRINA_LOG_FORMAT": "auto"}, False, True, False),
        ({"VITRINA_LOG_FORMAT": "JSON"}, True, True, False),
        ({"VITRINA_LOG_FORMAT": ""}, False, False, False),
    ],
)
def test_the_form_of_the_lines(capsys, environment: dict[str, str], terminal, json_lines, colours) -> None:
    logs.configure(environment, terminal=terminal)
    logging.getLogger("vitrina").error("x")
    line = capsys.readouterr().err
    assert (line.startswith("{"), "\x1b[31m" in line, logs.json_lines()) == (json_lines, colours, json_lines)


def test_the_level_is_ours_and_others_say_warnings(capsys) -> None:
    configured(VITRINA_LOG_LEVEL="debug").debug("x")
    assert last(capsys)["level"] == "debug"
    logging.getLogger("botocore").info("signs with planted-s3")
    assert capsys.readouterr().err == ""
    configured(VITRINA_LOG_LEVEL="error").warning("x")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["VITRINA_LOG_FORMAT", "VITRINA_LOG_LEVEL"])
def test_an_unknown_value_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: 'loud' is not known"):
        logs.configure({name: "loud"}, terminal=False)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_in_any_line(capsys, form: str) -> None:
    logs.configure({"VITRINA_LOG_FORMAT": form, **SECRETS}, terminal=False, secrets=["planted-given"])
    log = logging.getLogger("vitrina.tested")
    try:
        raise ValueError("planted-s3 is wrong")
    except ValueError:
        log.exception("token %s", "planted-admin", extra={"fields": {"given": "planted-given", "odd": ["planted-s3"]}})
    line = capsys.readouterr().err
    assert "ValueError: *** is wrong" in line
    assert "planted" not in line


def test_what_goes_wrong_over_and_over_is_bounded_and_counted(capsys) -> None:
    log = configured()

    def fails(at: float) -> None:
        record = log.makeRecord(log.name, logging.ERROR, "place.py", 7, "again", (), None)
        record.created = at
        log.handle(record)

    for number in range(1_000):
        fails(1e9 + number / 1_000)  # 1,000 in one second
    said = capsys.readouterr().err.splitlines()
    assert len(said) in (19, 20), "ten at once, then ten a second"
    fails(1e9 + 60)
    (line,) = capsys.readouterr().err.splitlines()
    assert sum(json.loads(one).get("unsaid", 0) for one in (*said, line)) == 1_001 - len(said) - 1
    for number in range(30):
        log.info("notes are not held back %d", number)
        log.error("nor is this", extra={"always": True})
    assert len(capsys.readouterr().err.splitlines()) == 60


def test_configuring_again_doubles_no_line(capsys) -> None:
    configured()
    configured().error("x")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_whatever_a_process_says_is_json(tmp_path) -> None:
    environment = {"VITRINA_LOG_FORMAT": "json", "PATH": "/bin", **SECRETS}
    done = subprocess.run(
        [sys.executable, "-c", STRANGERS], env=environment, capture_output=True, text=True, timeout=300
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("py.warnings", "warning"),
        ("alembic.runtime", "warning"),
        ("vitrina", "critical"),
        ("vitrina", "critical"),
    ]
    assert "old ways" in lines[0]["message"]
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert {line["run_id"] for line in lines} == {"r1"}
    assert done.returncode == 1
    assert "planted" not in done.stderr


def test_warnings_stay_warnings_without_json() -> None:
    logs.configure({}, terminal=False)
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)
