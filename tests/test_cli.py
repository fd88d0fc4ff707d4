"""The command line: exit codes, texts and JSON for everything that can be got wrong before any data is read."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command
from waiting import wait

from vitrina.cli import app, main

VERBS = (
    *(
        "train",
        "step",
        "runs",
        "migrate",
        "metrics",
        "evaluate",
        "batch",
        "recommend",
        "promote",
        "rollback",
        "generate",
    ),
    *("serve", "stop", "demo", "users"),
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Vitrina = Callable[..., Done]


@pytest.fixture
def vitrina(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Vitrina]:
    """Runs the entry point as the installed command does, with a state folder of its own: `tmp_path`/home."""
    monkeypatch.setenv("VITRINA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["vitrina", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capfd.readouterr())

    yield run
    signal.signal(signal.SIGINT, before)


def test_version_and_help(vitrina: Vitrina) -> None:
    assert vitrina("--version").out.startswith("vitrina 0.")
    listed = vitrina("--help")
    assert listed.code == 0
    assert [verb for verb in VERBS if f" {verb} " not in listed.out] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_a_help_text(verb: str) -> None:
    parameters = get_command(app).commands[verb].params  # type: ignore[attr-defined]
    assert [one.name for one in parameters if not getattr(one, "help", None)] == []


def test_steps_are_listed(vitrina: Vitrina) -> None:
    steps = json.loads(vitrina("step", "storefront", "--list", "--json").out)["steps"]
    assert [one["step"] for one in steps][:3] == ["extract", "validate", "prepare"]
    written: set[str] = set()
    for one in steps:
        assert set(one["inputs"]) <= written, "a step reads what none before it wrote"
        written |= set(one["outputs"])
    assert " prepared " in vitrina("step", "storefront", "--list").out


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["train", "nothing"], "ConfigError", "Known are: storefront"),
        (["train", "storefront"], "ConfigError", "--data PATH"),
        (["train", "storefront", "--data", "nowhere.csv"], "DataError", "nowhere.csv"),
        (["train", "storefront", "--data", ".", "--columns", "user"], "ConfigError", "user"),
        (["train", "storefront", "--data", ".", "--as-of", "yesterday"], "ConfigError", "2015-09-01"),
        (["train", "storefront", "--tune", "-1"], "UsageError", "--tune"),
        (["step", "storefront"], "ConfigError", "extract, validate"),
        (["step", "storefront", "nothing"], "ConfigError", "extract, validate"),
        (["step", "storefront", "prepare"], "DataError", "Run the step that writes it first"),
        (["evaluate", "storefront"], "DataError", "vitrina train storefront"),
        (["train", "storefront", "--recipe", "lags"], "ConfigError", "Leave --recipe out"),
        (["train", "bank_products", "--recipe", "nothing"], "ConfigError", "lags, no_lags"),
        (["train", "bank_products"], "ConfigError", "--data PATH"),
        (["train", "bank_products", "--data", ".", "--columns", "user=id"], "ConfigError", "--columns"),
        (["evaluate", "bank_products"], "DataError", "vitrina train bank_products"),
        (["evaluate", "bank_products", "--holdout", "pairs.csv"], "ConfigError", "has no `holdout`"),
        (["recommend", "bank_products", "--user-id", "1"], "ConfigError", "POST /predict"),
        (["recommend", "storefront"], "ConfigError", "--user-id"),
        (["recommend", "storefront", "--user-id", "1", "--k", "101"], "UsageError", "--k"),
        (["runs", "storefront", "--state-uri", "nowhere"], "ConfigError", "postgresql+psycopg2://"),
        (["runs", "nothing"], "ConfigError", "Known are: storefront"),
        (["migrate", "--to", "42"], "ConfigError", "head"),
        (["metrics", "--state-uri", "nowhere"], "ConfigError", "postgresql+psycopg2://"),
        (["metrics", "--disk", "/var"], "ConfigError", "NAME=PATH"),
        (["metrics", "--disk", "a=/", "--disk", "a=/"], "ConfigError", "NAME=PATH"),
        (["metrics", "--disk", "a=/no/such/folder"], "ConfigError", "/no/such/folder"),
        (["metrics", "--graphite", "carbon"], "ConfigError", "HOST:PORT"),
        (["metrics", "--graphite", "carbon:0"], "ConfigError", "HOST:PORT"),
        (["metrics", "--host", "no.such.host.invalid"], "ConfigError", "Choose another: --host"),
        (["generate", "--out", ".", "--events", "0"], "UsageError", "'--events': 0 is too small; the least is 100."),
        (["generate", "--out", ".", "--events", "1.5"], "UsageError", "'--events': '1.5' is no whole number."),
        (["generate", "--out", ".", "--structure", "a"], "UsageError", "'--structure': 'a' is no number."),
        (["generate", "--out", ".", "--shape", "panel"], "UsageError", "'--shape': 'panel' is not one of 'storefront'"),
        (["serve", "--port", "65536"], "UsageError", "'--port': 65536 is too large; the most is 65535."),
        (["no-such-verb"], "UsageError", "no-such-verb"),
    ],
)
def test_bad_input_is_exit_code_2_with_a_reason(vitrina: Vitrina, arguments: list[str], kind: str, says: str) -> None:
    done = vitrina(*arguments, "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["type"]) == (2, kind), done.err
    assert says in error["reason"]
    assert says in done.err
    assert vitrina(*arguments).out == ""


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["runs", "storefront", "--state-uri", "postgresql://u:p@127.0.0.1:1/vitrina"], "StateError"),
        (["promote", "storefront"], "RegistryError"),
        (["rollback", "storefront"], "RegistryError"),
        (["recommend", "storefront", "--user-id", "1"], "NoChampionError"),
        (["step", "storefront", "publish"], "NoChampionError"),
    ],
)
def test_what_is_not_there_yet_is_exit_code_1(vitrina: Vitrina, arguments: list[str], kind: str) -> None:
    done = vitrina(*arguments, "--json")
    assert (done.code, json.loads(done.out)["error"]["type"]) == (1, kind), done.err


def test_the_data_of_a_scenario_is_a_setting_of_its_own(vitrina: Vitrina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_EVENTS_URI", "shop.csv")
    monkeypatch.setenv("VITRINA_BANK_EVENTS_URI", "bank.csv")
    for scenario, place in (("storefront", "shop.csv"), ("bank_products", "bank.csv")):
        assert place in vitrina("step", scenario, "extract").err
        assert "other.csv" in vitrina("step", scenario, "extract", "--data", "other.csv").err
    monkeypatch.setenv("VITRINA_BANK_EVENTS_URI", "")
    assert "--data PATH" in vitrina("step", "bank_products", "extract").err


def test_a_step_is_recorded_when_its_run_is_named(vitrina: Vitrina) -> None:
    assert vitrina("step", "storefront", "prepare", "--run-id", "daily [1]").code == 2
    assert vitrina("step", "storefront", "prepare").code == 2
    assert vitrina("train", "storefront", "--run-id", "whole").code == 2
    (whole, one) = json.loads(vitrina("runs", "storefront", "--json").out)["runs"]
    assert (whole["run_id"], whole["step"]) == ("whole", "extract")
    assert (one["run_id"], one["step"], one["attempt"], one["outcome"]) == ("daily [1]", "prepare", 1, "failed")
    assert "Run the step that writes it first" in one["error"]
    shown = vitrina("runs", "storefront", "--run-id", "daily [1]").out
    assert "daily [1]" in shown and "whole" not in shown
    assert vitrina("train", "storefront").code == 2
    (newest, *_) = json.loads(vitrina("runs", "storefront", "--json").out)["runs"]
    assert newest["run_id"].startswith("train-20")


def test_a_state_database_that_is_away_is_said_and_changes_no_result(vitrina: Vitrina) -> None:
    away = ("--run-id", "r1", "--state-uri", "postgresql://u:p@127.0.0.1:1/vitrina", "--json")
    done, plain = vitrina("step", "storefront", "prepare", *away), vitrina("step", "storefront", "prepare", "--json")
    assert (done.code, done.out) == (plain.code, plain.out)
    assert "prepare of run r1 is not recorded" in done.err


def test_a_server_in_the_foreground_has_no_result_to_tell(vitrina: Vitrina) -> None:
    done = vitrina("serve", "--json")
    assert (done.code, json.loads(done.out)["error"]["type"]) == (2, "ConfigError")
    assert "--background" in done.err


@pytest.mark.parametrize("verb", ["serve", "demo", "metrics"])
def test_a_taken_port_is_found_before_any_work(vitrina: Vitrina, tmp_path: Path, verb: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = vitrina(verb, "--port", port)
    assert done.code == 2
    assert f"127.0.0.1:{port}" in done.err
    assert not (tmp_path / "home").exists()


STRUCK_IN_A_FINALIZER = """
import os, signal, sys, time
from vitrina import cli

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

def planted(name):
    Dying()
    print("dropped", flush=True)
    time.sleep(600)

cli.scenario = planted
sys.argv = ["vitrina", "train", "storefront"]
cli.main()
"""


def test_ctrl_c_that_strikes_in_a_finalizer_ends_the_command_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STRUCK_IN_A_FINALIZER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (130, "dropped\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_command_ends_with_130_and_no_stack_trace(tmp_path: Path) -> None:
    start = "from vitrina.cli import main; main()"
    command = [sys.executable, "-c", start, "generate", "--out", str(tmp_path / "world"), "--events", "50000000"]
    with (tmp_path / "log.txt").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        wait(lambda: (tmp_path / "world").exists() or child.poll() is not None, pause=0.05)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=300) == 130, (tmp_path / "log.txt").read_text()
    assert "Traceback" not in (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "world" / "events.csv").exists()


def test_a_generated_world_is_reported(vitrina: Vitrina, tmp_path: Path) -> None:
    done = vitrina("generate", "--out", str(tmp_path / "world"), "--events", "1000", "--json")
    assert json.loads(done.out) == {"out": str(tmp_path / "world"), "events": 1000, "seed": 0}
    assert done.err == ""
    assert (tmp_path / "world" / "events.csv").is_file()


def test_a_state_folder_that_cannot_be_made_is_named(vitrina: Vitrina, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = vitrina("train", "basket", "--data", str(tmp_path), "--home", str(tmp_path / "file" / "home"))
    assert done.code == 2
    assert f"the state folder {tmp_path / 'file' / 'home'} cannot be made" in done.err and "Traceback" not in done.err
