"""The server in the background: which process it is, what is left alone, and how a start or an end can go wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from ports import free_port
from small_servers import Folder, kill, members
from waiting import PATIENCE, wait

from vitrina.errors import ConfigError, VitrinaError
from vitrina.verbs import background
from vitrina.verbs.background import Server

NEVER_READY = "import time; print('thinking', flush=True); time.sleep(600)"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[[str], Folder]]:
    made: list[Folder] = []

    def make(name: str = "home") -> Folder:
        made.append(Folder(tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        one.clear()


def test_a_server_is_started_told_and_ended_with_its_workers(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, child = kept.ready()
    assert kept.pid_file.read_text().splitlines()[0] == str(child.pid)
    assert (os.getsid(child.pid), len(members(server))) == (child.pid, 2)
    assert kept.log.read_text() == "serving\n"
    done = kept.stop()
    assert (done.server, done.found, done.forced) == (server, True, False)
    assert members(server) == []
    assert not kept.pid_file.exists()
    assert not kept.stop().found, "there is nothing left to end"


def test_where_nothing_ever_ran_nothing_is_made(folder: Callable[..., Folder], tmp_path: Path) -> None:
    assert folder().stop().server is None
    assert list(tmp_path.iterdir()) == []


def test_a_second_start_is_refused_and_the_first_one_goes_on(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, child = kept.ready()
    with pytest.raises(ConfigError, match=f"runs already: pid {child.pid} on {server.url}"):
        kept.begin()
    assert kept.wait(server, child, PATIENCE) == {"models": {"toy": "1"}}


def test_of_two_starts_at_once_one_wins(folder: Callable[..., Folder]) -> None:
    kept = folder()
    outcomes: list[object] = []
    gate = threading.Barrier(4)

    def begin() -> None:
        gate.wait()
        try:
            outcomes.append(kept.begin()[0])
        except ConfigError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (server,) = (one for one in outcomes if isinstance(one, Server))
    assert kept.wait(server, kept.children[0], PATIENCE)
    assert kept.stop().server == server


def test_a_taken_port_starts_nothing(folder: Callable[..., Folder]) -> None:
    kept = folder()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="--port"):
        kept.begin(port=taken.getsockname()[1])
    assert not kept.pid_file.exists()


def test_a_server_that_dies_at_its_start_is_told_with_the_end_of_its_log(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, child = kept.begin("print('one'); raise SystemExit('no such model')")
    with pytest.raises(VitrinaError, match=r"exit code 1\)[^$]*one[^$]*no such model"):
        kept.wait(server, child, PATIENCE)
    assert not kept.pid_file.exists()
    kept.ready()
    assert kept.log.with_name("server.log.before").read_text() == "one\nno such model\n"


def test_a_server_that_never_answers_is_ended(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, child = kept.begin(NEVER_READY)
    wait(lambda: "thinking" in kept.log.read_text(), pause=0.02)
    with pytest.raises(VitrinaError, match=r"did not answer within 1 s[^$]*thinking"):
        kept.wait(server, child, 1)
    assert members(server) == []
    assert not kept.pid_file.exists()


def test_what_another_process_answers_on_the_port_is_not_its_answer(folder: Callable[..., Folder]) -> None:
    kept, port = folder(), free_port()
    server, child = kept.begin(NEVER_READY, port)

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with HTTPServer(("127.0.0.1", port), Ready) as other:
        serving = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            with pytest.raises(VitrinaError, match="did not answer"):
                kept.wait(server, child, 1)
        finally:
            other.shutdown()
            serving.join()


def test_a_stop_during_the_start_ends_it_and_the_starter_is_told(
    folder: Callable[..., Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folder()
    server, child = kept.begin(NEVER_READY)
    told: list[str] = []
    looked = threading.Event()
    listens = kept._listens
    monkeypatch.setattr(kept, "_listens", lambda of: looked.set() or listens(of))

    def waiting() -> None:
        with pytest.raises(VitrinaError) as error:
            kept.wait(server, child, PATIENCE)
        told.append(str(error.value))

    starter = threading.Thread(target=waiting)
    starter.start()
    assert looked.wait(PATIENCE)
    assert kept.stop().found
    starter.join(timeout=PATIENCE)
    assert told == ["the server was stopped while it started"]
    assert not kept.pid_file.exists()


def test_what_is_deaf_to_the_signal_is_killed_after_a_while(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, _ = kept.ready("deaf")
    begun = time.monotonic()
    assert kept.stop(seconds=0.5).forced
    assert 0.5 <= time.monotonic() - begun < 60
    assert members(server) == []


def test_what_outlives_the_kill_is_told_and_can_be_ended_later(
    folder: Callable[..., Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a process inside of the kernel does; here the signal does not arrive."""
    kept = folder()
    server, _ = kept.ready("deaf")
    with monkeypatch.context() as patched:
        patched.setattr(background, "KILL_SECONDS", 0.3)
        patched.setattr(background, "_signal", lambda *_, **__: None)
        with pytest.raises(VitrinaError, match=rf"pid {server.pid}, was killed and did not end within 0.3 s: "):
            kept.stop(seconds=0.1)
    assert kept.pid_file.exists() and members(server)
    assert kept.stop(seconds=0.1).forced
    assert members(server) == [] and not kept.pid_file.exists()


def test_a_dead_server_is_no_hindrance(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, _ = kept.ready()
    kill(server)
    assert kept.pid_file.exists()
    again, _ = kept.ready()
    assert again.pid != server.pid
    kill(again)
    done = kept.stop()
    assert (done.server, done.found) == (again, False)
    assert not kept.pid_file.exists()


def test_workers_that_outlive_their_master_are_ended(folder: Callable[..., Folder]) -> None:
    kept = folder()
    server, child = kept.ready()
    child.kill()
    child.wait(timeout=PATIENCE)
    (worker,) = members(server)
    with pytest.raises(ConfigError, match=rf"{child.pid}, is dead, but workers live on: {worker}\. .*\(make kill\)"):
        kept.begin()
    done = kept.stop()
    assert (done.found, done.forced) == (True, False)
    assert members(server) == []


@pytest.mark.parametrize("different", ["began", "command", "home"])
def test_a_process_that_has_the_number_by_now_is_left_alone(
    folder: Callable[..., Folder], tmp_path: Path, different: str
) -> None:
    """The stranger leads a session, and is what the pid file tells but for one thing."""
    kept = folder()
    command = [sys.executable, "-c", NEVER_READY]
    home = tmp_path / ("other" if different == "home" else "home")
    environment = {**os.environ, "VITRINA_HOME": str(home)}
    stranger = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        began = psutil.Process(stranger.pid).create_time() - psutil.boot_time()
        told = {
            "began": began - 60 if different == "began" else began,
            "command": (sys.executable, "-m", "app") if different == "command" else tuple(command),
        }
        kept.pid_file.parent.mkdir(parents=True)
        kept._write(Server(pid=stranger.pid, url="http://127.0.0.1:1", **told))
        assert not kept.stop(seconds=1).found
        assert stranger.poll() is None
        assert not kept.pid_file.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_later_process_of_the_same_command_and_folder_is_not_the_one_of_the_file(
    folder: Callable[..., Folder],
) -> None:
    kept = folder()
    server, child = kept.ready()
    told = kept.pid_file.read_text()
    kept._write(replace(server, began=server.began - 60))
    assert not kept.stop(seconds=1).found
    assert len(members(server)) == 2, "neither it nor its worker was ended"
    assert child.poll() is None
    kept.pid_file.write_text(told)
    assert kept.stop().found


def test_the_server_of_another_folder_is_left_alone(folder: Callable[..., Folder]) -> None:
    one, other = folder("one"), folder("other")
    server, child = one.ready()
    other.pid_file.parent.mkdir(parents=True)
    other.pid_file.write_bytes(one.pid_file.read_bytes())
    assert not other.stop(seconds=1).found
    assert child.poll() is None
    assert one.stop().server == server


def test_a_file_that_tells_nothing_is_named(folder: Callable[..., Folder]) -> None:
    kept = folder()
    kept.pid_file.parent.mkdir(parents=True)
    for text in ("", "12\n", "x\n{}\n", '12\n{"began": 1}\n', "12\n[]\n"):
        kept.pid_file.write_text(text)
        for call in (kept.stop, kept.begin):
            with pytest.raises(VitrinaError, match=r"server\.pid is no pid file"):
                call()
    assert kept.pid_file.exists()


def test_a_server_of_another_user_is_said_to_be_theirs(
    folder: Callable[..., Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folder()
    _, child = kept.ready()
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "as_dict", lambda self, attrs: {"environ": None})
        with pytest.raises(VitrinaError, match=r"was started by .*only they can end it"):
            kept.stop(seconds=1)
    assert child.poll() is None
    assert kept.pid_file.exists()
    wait(lambda: kept.stop().found)
