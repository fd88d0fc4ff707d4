"""The child process of a task: its lines, its answer, its reason, and that it never outlives what started it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from steps.child_process import BAD_INPUT, Child, readable
from steps.settings import Settings
from waiting import PATIENCE

SLEEPS = """
import subprocess, sys, time
subprocess.Popen(["sleep", "60"])
print("begun", file=sys.stderr)
time.sleep(60)
"""
TALKS = """
import sys, time
from pathlib import Path
print("one", file=sys.stderr)
while not Path({heard!r}).exists():
    time.sleep(0.01)
print("two", file=sys.stderr)
print('{"a": 1}')
"""
STARTS = f"""
import os, sys
from steps.child_process import Child
Child([sys.executable, "-uc", {SLEEPS!r}], os.environ).run(lambda _, line: print(line, flush=True))
"""


def child(code: str) -> Child:
    return Child([sys.executable, "-uc", code], os.environ)


def test_lines_are_heard_while_it_runs_and_the_last_line_of_its_output_is_the_answer(tmp_path: Path) -> None:
    """It says the second one when the first one was heard."""
    heard: list[str] = []

    def hear(_: int, line: str) -> None:
        heard.append(line)
        (tmp_path / line).touch()

    ended = child(TALKS.replace("{heard!r}", repr(str(tmp_path / "one")))).run(hear)
    assert heard == ["one", "two"]
    assert (ended.code, dict(ended.document), ended.reason) == (0, {"a": 1}, "")


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ('{"level": "warning", "message": "is not recorded", "run_id": "r1"}', logging.WARNING, "is not recorded"),
        ('{"level": "error", "message": "m", "exception": "Traceback\\nE: x"}', logging.ERROR, "m\nTraceback\nE: x"),
        ('{"level": "loud", "message": "m"}', logging.INFO, "m"),
        ('{"rows": 7}', logging.INFO, '{"rows": 7}'),
        ('{"message": "cut off', logging.INFO, '{"message": "cut off'),
        ("  12 rows kept", logging.INFO, "  12 rows kept"),
    ],
)
def test_a_line_is_readable_in_whatever_form_it_was_written(line: str, level: int, text: str) -> None:
    assert readable(line) == (level, text)


@pytest.mark.parametrize(
    ("code", "exit_code", "reason"),
    [
        ('import sys; print(\'{"error": {"reason": "no user"}}\'); sys.exit(2)', BAD_INPUT, "no user"),
        ("import sys; print('all wrong', file=sys.stderr); sys.exit(1)", 1, "all wrong"),
        (
            'import sys; print(\'{"message": "all wrong", "level": "error"}\', file=sys.stderr); sys.exit(1)',
            1,
            "all wrong",
        ),
        ("import os; os.kill(os.getpid(), 9)", -9, "killed by SIGKILL"),
        ("import sys; print('[1]'); sys.exit(3)", 3, "ended with exit code 3 without a word"),
    ],
)
def test_the_reason_of_a_failure(code: str, exit_code: int, reason: str) -> None:
    ended = child(code).run(lambda *_: None)
    assert (ended.code, ended.reason) == (exit_code, reason)


def test_stopping_ends_the_whole_group() -> None:
    started, begun = child(SLEEPS), threading.Event()
    running = threading.Thread(target=started.run, args=(lambda *_: begun.set(),))
    running.start()
    assert begun.wait(PATIENCE)
    (found,) = [one for one in psutil.Process().children() if "time.sleep" in " ".join(one.cmdline())]
    group = [found, *found.children()]
    assert len(group) == 2
    started.stop()
    running.join(PATIENCE)
    assert not running.is_alive()
    assert psutil.wait_procs(group, timeout=30)[1] == []


def test_it_dies_with_the_process_that_started_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "airflow" / "plugins")}
    task = subprocess.Popen([sys.executable, "-uc", STARTS], env=environment, stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    assert task.stdout.readline() == "begun\n"
    (started,) = psutil.Process(task.pid).children()
    task.send_signal(signal.SIGKILL)
    task.wait()
    task.stdout.close()
    started_is_gone = psutil.wait_procs([started], timeout=30)[1] == []
    for left in [one for one in psutil.process_iter() if one.ppid() == 1 and one.name() == "sleep"]:
        if os.getsid(left.pid) == started.pid:
            left.kill()
    assert started_is_gone


def test_neither_the_bots_token_nor_airflows_secrets_reach_it() -> None:
    given = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "secret",
        "VITRINA_TELEGRAM_TOKEN": "secret",
        "VITRINA_HOME": "home",
        "PATH": "/bin",
    }
    settings = Settings.read(given)
    assert "secret" not in settings.environment.values()
    assert settings.environment["VITRINA_HOME"] == "home"
    assert "secret" not in repr(settings)


def test_an_empty_setting_is_an_unset_one() -> None:
    settings = Settings.read({"VITRINA_TELEGRAM_TOKEN": "", "VITRINA_TELEGRAM_CHAT_ID": "7", "VITRINA_COMMAND": ""})
    assert not settings.tells
    assert settings.command == "vitrina"
    assert settings.registry_page is None
