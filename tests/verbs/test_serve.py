"""`vitrina serve --background` and `vitrina stop` with the real service and its workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from ports import free_port
from waiting import PATIENCE, wait

from app.warm import tiny_propensities
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

VITRINA = [sys.executable, "-c", "from vitrina.cli import main; main()"]
UNDER_WAY = 6


@dataclass
class Shop:
    """A state folder with a registry of files; the commands run over it."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def registry(self) -> str:
        return f"file://{self.home / 'registry'}"

    def publish(self) -> None:
        """Makes a tiny model of the bank the champion."""
        write_model(self.home / "model", **next(iter(tiny_propensities()))._asdict())
        registry = FileRegistry(self.home / "registry", name="bank_products")
        registry.promote(registry.register(self.home / "model", RunRecord(fingerprint="f")).version)

    def begin(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "VITRINA_HOME": str(self.home), "VITRINA_REGISTRY_URI": self.registry, **settings}
        pipe = subprocess.PIPE
        return subprocess.Popen([*VITRINA, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, which the server must not hold open."""
        with self.begin(*arguments, **settings) as command:
            out, err = command.communicate(timeout=400)
        return command.returncode, out, err

    def serve(self, workers: int = 2, **settings: str) -> dict[str, Any]:
        told = ("serve", "--background", "--json", "--port", str(self.port), "--workers", str(workers))
        code, out, err = self.run(*told, VITRINA_POLL_SECONDS="0.2", **settings)
        assert code == 0, err
        return json.loads(out)

    def stop(self) -> dict[str, Any]:
        code, out, err = self.run("stop", "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(home=tmp_path / "home", port=free_port())
    shop.home.mkdir()
    yield shop
    shop.stop()


def half_sent(port: int, body: bytes) -> socket.socket:
    """A request to /predict of which the service has all but the last byte of the body."""
    asking = socket.create_connection(("127.0.0.1", port), timeout=120)
    head = f"POST /predict HTTP/1.1\r\nhost: shop\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    asking.sendall(head + body[:-1])
    return asking


def answered(asking: socket.socket, rest: bytes) -> bytes:
    with asking:
        asking.sendall(rest)
        found = b""
        while part := asking.recv(65_536):
            found += part
    return found


def test_requests_under_way_are_answered_when_a_server_with_workers_is_ended(shop: Shop) -> None:
    shop.publish()
    told = shop.serve()
    assert (told["url"], told["models"]) == (shop.url, {"bank_products": "1"})
    family = [psutil.Process(told["pid"]), *psutil.Process(told["pid"]).children(recursive=True)]
    assert len(family) == 3
    body = b'{"age": 40}'
    asking = [half_sent(shop.port, body) for _ in range(UNDER_WAY)]
    ended: list[dict[str, Any]] = []
    ending = threading.Thread(target=lambda: ended.append(shop.stop()))
    ending.start()
    wait(lambda: refuses(shop.port), pause=0.05)  # it takes no new ones, and knows that it is to end
    assert not ended
    answers = [answered(one, body[-1:]) for one in asking]
    ending.join(timeout=PATIENCE)
    assert [one.split(b"\r\n", 1)[0] for one in answers] == [b"HTTP/1.1 200 OK"] * UNDER_WAY
    assert ended == [{"stopped": told["pid"], "forced": False, "told": f"the server, pid {told['pid']}, is ended"}]
    assert living(family) == []


def living(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended; whoever started them may not have asked yet how."""
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_server_without_a_model_says_so_and_takes_the_first_one(shop: Shop) -> None:
    code, _, err = shop.run("serve", "--background", "--port", str(shop.port), VITRINA_POLL_SECONDS="0.2")
    assert code == 0
    assert f"Serving no model yet on {shop.url}" in err and "vitrina train bank_products" in err
    shop.publish()
    wait(lambda: httpx.get(f"{shop.url}/readyz").json().get("models") == {"bank_products": "1"})


def ready(shop: Shop) -> tuple[str, list[str] | None]:
    """The version that one of the workers serves, and what it has not confirmed."""
    told = httpx.get(f"{shop.url}/readyz").json()
    return told["model_version"], told.get("unconfirmed")


def test_it_says_which_champion_answers_and_when_the_registry_was_not_asked(shop: Shop) -> None:
    shop.publish()
    shop.serve(workers=1)
    shop.stop()
    shop.publish()
    told = shop.serve()
    # a slow machine may answer before the first look has ended, and then says so
    assert told["models"] == {"bank_products": "2"} or told["unconfirmed"] == ["bank_products"]
    wait(lambda: all(ready(shop) == ("2", None) for _ in range(8)))
    shop.stop()
    away = f"http://127.0.0.1:{free_port()}"
    code, _, err = shop.run(
        "serve", "--background", "--port", str(shop.port), "--workers", "2", VITRINA_REGISTRY_URI=away
    )
    assert code == 0
    assert "Serving bank_products (version 2)" in err
    assert "Served as last on this host: bank_products; the registry has not answered yet" in err


def test_a_second_server_is_refused_and_a_wrong_setting_is_told(shop: Shop) -> None:
    told = shop.serve(workers=1)
    code, out, _ = shop.run("serve", "--background", "--json", "--port", str(free_port()))
    assert (code, f"pid {told['pid']}" in json.loads(out)["error"]["reason"]) == (2, True)
    assert shop.stop()["stopped"] == told["pid"]
    code, out, err = shop.run("serve", "--background", "--port", str(shop.port), VITRINA_TOKEN_MINUTES="0")
    assert (code, out) == (2, "")
    assert err == "error: VITRINA_TOKEN_MINUTES='0': write a number above 0, up to 1440, for instance 60.0\n"
    assert shop.stop()["told"].startswith("no server runs")


def test_workers_of_a_killed_master_do_not_stay(shop: Shop) -> None:
    told = shop.serve()
    master = psutil.Process(told["pid"])
    family = [master, *master.children(recursive=True)]
    master.kill()
    wait(lambda: not master.is_running() or master.status() == psutil.STATUS_ZOMBIE, pause=0.05)
    shop.stop()
    assert living(family) == []
    assert shop.serve(workers=1)["pid"] != told["pid"]


def test_a_start_can_be_ended_from_elsewhere_and_by_ctrl_c(shop: Shop) -> None:
    pid_file = shop.home / "server" / "server.pid"
    for end in ("stop", "ctrl-c"):
        with shop.begin("serve", "--background", "--port", str(shop.port), "--workers", "2") as starting:
            wait(pid_file.exists, pause=0.01)
            number = int(pid_file.read_text().splitlines()[0])
            if end == "stop":
                assert shop.stop()["stopped"] == number
            else:
                starting.send_signal(signal.SIGINT)
            _, err = starting.communicate(timeout=PATIENCE)
        assert starting.returncode == (1 if end == "stop" else 130), err
        assert ("was stopped while it started" in err) == (end == "stop")
        assert "Traceback" not in err
        assert not pid_file.exists()
        assert not psutil.pid_exists(number) or living([psutil.Process(number)]) == []
        assert refuses(shop.port)
