"""Alerts reach Telegram through the real Alertmanager, as the stack starts it: readable, grouped, once."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from alertmanager_server import MISSING, SCRIPT, AlertmanagerServer
from telegram_server import CHAT_ID, TOKEN, TelegramServer
from waiting import PATIENCE, wait

RULES = SCRIPT.parents[1] / "prometheus" / "rules"
DOCS = "https://git.example.org/shop/vitrina/blob/main"


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    server = TelegramServer()
    yield server
    server.stop()


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """The script beside the stack's own configuration, with waits that a test can bear."""
    folder = tmp_path / "alertmanager"
    shutil.copytree(SCRIPT.parent, folder)
    config = folder / "alertmanager.yml"
    text = config.read_text()
    for name, seconds in (("group_wait", "1s"), ("group_interval", "2s")):
        old = [line.strip() for line in text.splitlines() if line.strip().startswith(f"{name}:")]
        assert len(old) == 2, f"{name} is set for both severities"
        for line in old:
            text = text.replace(line, f"{name}: {seconds}")
    config.write_text(text)
    return folder / "start.sh"


def settings(telegram: TelegramServer, **more: str) -> dict[str, str]:
    return {
        "VITRINA_TELEGRAM_TOKEN": TOKEN,
        "VITRINA_TELEGRAM_CHAT_ID": CHAT_ID,
        "VITRINA_TELEGRAM_BASE_URL": telegram.base_url,
        **more,
    }


def alert(name: str, *, over: bool = False, **labels: str) -> dict[str, Any]:
    """An alert as its rule makes it, its description as written there."""
    groups = [group for path in RULES.glob("*.yml") for group in yaml.safe_load(path.read_text())["groups"]]
    rule = next(rule for group in groups for rule in group["rules"] if rule.get("alert") == name)
    now = dt.datetime.now(dt.UTC)
    end = now - dt.timedelta(seconds=1) if over else now + dt.timedelta(minutes=5)
    return {
        "labels": {"alertname": name, **rule["labels"], **labels},
        "annotations": rule["annotations"],
        "startsAt": "2026-11-22T06:30:00Z",
        "endsAt": end.isoformat(),
    }


def check(path: Path) -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.skip(MISSING)
    done = subprocess.run([program, "check-config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid_and_tells_nobody_as_it_stands() -> None:
    assert "2 receivers" in check(SCRIPT.parent / "alertmanager.yml")
    receivers = yaml.safe_load((SCRIPT.parent / "alertmanager.yml").read_text())["receivers"]
    assert receivers == [{"name": "critical"}, {"name": "warning"}]


def test_an_alert_is_told_once_and_again_when_it_is_over(tmp_path: Path, quick: Path, telegram: TelegramServer) -> None:
    with AlertmanagerServer(tmp_path / "server", settings(telegram), quick) as server:
        server.tell(alert("ServiceDown"))
        wait(lambda: len(telegram.messages) == 1, otherwise=server.said, pause=0.1)
        assert telegram.messages[0].text.rstrip() == (
            "🔴 <b>The service does not answer</b>\n"
            "ServiceDown. What to do: docs/monitor.md#servicedown\n\n"
            "No replica of the service has answered for a minute. Visitors get no recommendations. "
            "Since 22.11. 06:30 UTC."
        )
        assert telegram.messages[0].fields["parse_mode"] == "HTML"
        assert telegram.messages[0].fields.get("disable_notification", "false") == "false"
        server.tell(alert("ServiceDown", over=True))
        wait(lambda: len(telegram.messages) == 2, otherwise=server.said, pause=0.1)
        resolved = telegram.messages[1].text
        assert resolved.startswith("Over: <b>The service does not answer</b>\nServiceDown.")
        assert "It began 22.11. 06:30 and was over" in resolved


def test_what_follows_from_a_stopped_service_is_not_told_beside_it(
    tmp_path: Path, quick: Path, telegram: TelegramServer
) -> None:
    with AlertmanagerServer(tmp_path / "server", settings(telegram), quick) as server:

        def told() -> set[str]:
            return {message.text.split("\n")[1].partition(". What")[0] for message in telegram.messages}

        server.tell(alert("ServiceDown"))
        wait(lambda: "ServiceDown" in told(), otherwise=server.said, pause=0.1)
        server.tell(alert("ErrorRate", route="/recommendations"), alert("ReplicaDown", instance="a"))
        server.tell(alert("ModelStale", scenario="storefront"), alert("ModelStale", scenario="next_purchase"))
        wait(lambda: {"ModelStale, next_purchase", "ModelStale, storefront"} < told(), otherwise=server.said, pause=0.1)
        stale = [message for message in telegram.messages if "Stale" in message.text]
        assert {one.fields["disable_notification"] for one in stale} == {"true"}, "a warning makes no sound"
        by_name = {one["labels"]["alertname"]: one["status"]["state"] for one in server.ask("alerts")}
        assert by_name["ErrorRate"] == by_name["ReplicaDown"] == "suppressed"
        assert len(told()) == 3


def test_texts_are_escaped_and_the_runbook_is_a_link_when_the_pages_have_an_address(
    tmp_path: Path, quick: Path, telegram: TelegramServer
) -> None:
    odd = alert("SwapRefused", scenario="storefront", what="model")
    odd["annotations"] = odd["annotations"] | {"description": "<script> & 'quotes'"}
    with AlertmanagerServer(tmp_path / "server", settings(telegram, VITRINA_DOCS_URL=f"{DOCS}/"), quick) as server:
        server.tell(odd)
        wait(lambda: len(telegram.messages) == 1, otherwise=server.said, pause=0.1)
    text = telegram.messages[0].text
    assert f'<a href="{DOCS}/docs/monitor.md#swaprefused">docs/monitor.md#swaprefused</a>' in text
    assert "&lt;script&gt; &amp; &#39;quotes&#39;" in text


def test_the_token_is_in_one_private_file_and_in_no_log(tmp_path: Path, quick: Path, telegram: TelegramServer) -> None:
    telegram.stop()
    with AlertmanagerServer(tmp_path / "server", settings(telegram), quick) as server:
        server.tell(alert("ServiceDown"))
        wait(lambda: "/botTOKEN/sendMessage" in server.said(), otherwise=server.said, pause=0.1)
        assert "2 receivers" in check(server.config)
        assert server.config.stat().st_mode & 0o077 == 0
        told = str(server.ask("status"))
        assert server.process is not None
        environment = Path(f"/proc/{server.process.pid}/environ").read_bytes().decode()
        command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
        telegram.start()
        wait(lambda: len(telegram.messages) == 1, otherwise=server.said, pause=0.1)
    assert TOKEN in server.config.read_text()
    assert TOKEN not in server.said() + told + environment + command
    assert TOKEN.partition(":")[2] not in server.said()


@pytest.mark.parametrize("left_out", ["VITRINA_TELEGRAM_TOKEN", "VITRINA_TELEGRAM_CHAT_ID"])
def test_without_a_token_or_a_chat_nothing_is_sent_and_the_log_says_so(
    tmp_path: Path, quick: Path, telegram: TelegramServer, left_out: str
) -> None:
    with AlertmanagerServer(tmp_path / "server", settings(telegram, **{left_out: ""}), quick) as server:
        server.tell(alert("ServiceDown"))
        wait(lambda: server.ask("alerts/groups") != [])
        assert "No message is sent" in server.said()
    assert telegram.asked == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("VITRINA_TELEGRAM_CHAT_ID", "@shop", "must be a number"),
        ("VITRINA_TELEGRAM_CHAT_ID", "-", "must be a number"),
        ("VITRINA_TELEGRAM_TOKEN", "1:a'b", "no token"),
        ("VITRINA_TELEGRAM_BASE_URL", "http://a b", "no address"),
        ("VITRINA_DOCS_URL", 'http://a"b', "no address"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_at_the_start(
    tmp_path: Path, telegram: TelegramServer, name: str, value: str, reason: str
) -> None:
    server = AlertmanagerServer(tmp_path / "server", settings(telegram, **{name: value}))
    assert server.run().wait(timeout=PATIENCE) == 1
    assert f"{name} " in server.said()
    assert reason in server.said()
