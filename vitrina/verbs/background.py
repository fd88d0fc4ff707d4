"""The server in the background of a state folder: started, waited for, known again, ended.

The pid file alone proves nothing: by now the number may be another process's. A process is the server when it began
when the file says, runs the same command and has this state folder in its environment; all others are left alone.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vitrina.errors import ConfigError, VitrinaError
from vitrina.storage.building import locked, write_whole

if TYPE_CHECKING:
    from psutil import Process

START_SECONDS = 120.0  # where nothing is compiled yet, the kernels are compiled first
STOP_SECONDS = 40.0  # requests under way have 30 of them
KILL_SECONDS = 5.0  # a process that waits for a disk or a network folder may outlive them
SAME_START = 0.5
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104  where to ask what listens on every address
LAST_LINES = 20
WRONG_INPUT, REFUSED = 2, "error: "
"""The exit code of a server whose settings are wrong, and how the line begins that tells which."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the pid file tells. `began`: seconds after the machine's start, which no change of the clock moves."""

    pid: int
    began: float
    command: tuple[str, ...]
    url: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """How an end went. `server` is None when there was no pid file; `found`: a process of it was still there;
    `forced`: it had to be killed."""

    server: Server | None = None
    found: bool = False
    forced: bool = False


class Background:
    """The one server in the background of `home`. One start or stop at a time, over all processes."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._folder = self._home / "server"
        self.pid_file = self._folder / "server.pid"
        self.log = self._folder / "server.log"

    def start(
        self, command: Sequence[str], *, host: str, port: int, environment: Mapping[str, str]
    ) -> tuple[Server, subprocess.Popen[bytes]]:
        """Starts the command, which listens on `host` and `port`, in a session of its own, and returns at once.

        `ConfigError` when the server of this folder runs already, the port is taken or the folder cannot be made. The
        log of the start before is kept beside the new one.
        """
        url = f"http://{ANYWHERE.get(host, host)}:{port}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"the state folder {self._home} cannot be made: {error.strerror}"
            raise ConfigError(f"{reason}. Name another with --home or VITRINA_HOME") from error
        with locked(self._folder):
            present = self._read()
            if present is not None and (living := [one.pid for one in self._processes(present)]):
                told = f"runs already: pid {present.pid} on {present.url}. End it first"
                if present.pid not in living:
                    left = ", ".join(map(str, living))
                    told = f"on {present.url}, pid {present.pid}, is dead, but workers live on: {left}. End them first"
                raise ConfigError(f"the server of {self._home} {told}: vitrina stop (make kill)")
            check_free(host, port)
            if self.log.exists():
                self.log.replace(self.log.with_name(f"{self.log.name}.before"))
            with self.log.open("ab") as log:
                child = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**environment, "VITRINA_HOME": str(self._home)},
                    start_new_session=True,
                )
            try:
                server = Server(pid=child.pid, began=_began(child.pid), command=tuple(command), url=url)
                self._write(server)
            except BaseException:
                child.kill()
                child.wait()
                raise
        return server, child

    def wait(self, server: Server, child: subprocess.Popen[bytes], seconds: float = START_SECONDS) -> dict[str, Any]:
        """What `/readyz` tells once the server answers: `models` and which are `unconfirmed`, or `error`
        while no model is published.

        `VitrinaError` with the end of its log when it ends before that, or does not answer in time and is ended;
        `ConfigError` with what it says when a setting is wrong.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise self._ended(server, child.returncode)
            if self._listens(server):
                told = _readiness(server.url)
                if told is not None:
                    return told
            time.sleep(0.1)
        self.stop()
        raise VitrinaError(f"the server did not answer within {seconds:.0f} s and was ended. {self._last_lines()}")

    def stop(self, seconds: float = STOP_SECONDS) -> Stopped:
        """Ends the server and its workers, answers under way first; after `seconds` they are killed.

        The pid file goes whatever it told. `VitrinaError` when the server is another user's, which leaves all as it is,
        or lives on after it was killed, which leaves the pid file.
        """
        if not self._folder.is_dir():
            return Stopped()
        with locked(self._folder):
            server = self._read()
            if server is None:
                return Stopped()
            found = self._processes(server)
            master = [one for one in found if one.pid == server.pid]
            for one in master or found:  # a master ends its workers itself; those of one that was killed need it, too
                _signal(one, kill=False)
            forced = not self._wait_until_gone(server, seconds)
            if forced:
                for one in self._processes(server):
                    _signal(one, kill=True)
                if not self._wait_until_gone(server, KILL_SECONDS):
                    left = ", ".join(str(one.pid) for one in self._processes(server))
                    raise VitrinaError(
                        f"the server, pid {server.pid}, was killed and did not end within {KILL_SECONDS:g} s: {left} "
                        "may wait for a disk or a network folder. Try again: vitrina stop (make kill)"
                    )
            self.pid_file.unlink(missing_ok=True)
        return Stopped(server=server, found=bool(found), forced=forced)

    def _wait_until_gone(self, server: Server, seconds: float) -> bool:
        """Whether all processes ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self._processes(server):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        return True

    def _processes(self, server: Server) -> list[Process]:
        """The server and its workers, as far as they live: those of its session that are what the pid file tells.

        The system gives the number of a session to no new process while the session has members.
        """
        import psutil

        found = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) != server.pid:
                    continue
                one = psutil.Process(pid)
                if self._is_of(one, server):
                    found.append(one)
                elif pid == server.pid and one.status() != psutil.STATUS_ZOMBIE:
                    return []  # another process has the number by now, and the session is its own
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue  # it ended meanwhile
            except PermissionError:
                continue  # some systems tell no sessions of others
        return found

    def _is_of(self, one: Process, server: Server) -> bool:
        import psutil

        later = _began(one.pid) - server.began
        if (
            one.status() == psutil.STATUS_ZOMBIE
            or later < -SAME_START
            or (one.pid == server.pid and later > SAME_START)
        ):
            return False
        command = one.cmdline()
        if not command:
            return True  # it is about to end, and has given its memory back
        if tuple(command[1:]) != server.command[1:]:
            return False
        theirs = one.as_dict(["environ"])["environ"]
        if theirs is None and one.status() == psutil.STATUS_ZOMBIE:
            return False  # it ended this moment
        if theirs is None:
            raise VitrinaError(
                f"the server of {self._home}, pid {one.pid}, was started by {one.username()}: only they can end it"
            )
        return theirs.get("VITRINA_HOME") == str(self._home)

    def _listens(self, server: Server) -> bool:
        """Whether the port is this server's, so that nobody else's answer is taken for its own."""
        import psutil

        port = urlsplit(server.url).port
        for one in self._processes(server):
            try:
                connections = one.net_connections(kind="tcp")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if any(it.status == psutil.CONN_LISTEN and it.laddr.port == port for it in connections):
                return True
        return False

    def _ended(self, server: Server, code: int) -> VitrinaError:
        with locked(self._folder):
            present = self._read()
            if present != server:
                return VitrinaError("the server was stopped while it started")
            self.pid_file.unlink()
        said = _refusal(self.log.read_text(encoding="utf-8", errors="replace")) if code == WRONG_INPUT else ""
        if said:
            return ConfigError(said)
        return VitrinaError(f"the server ended while it started (exit code {code}). {self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines:
            return f"Its log, {self.log}, is empty"
        return "\n  ".join((f"Its log, {self.log}, ends with:", *lines[-LAST_LINES:]))

    def _read(self) -> Server | None:
        """Of the pid file the first line is the number alone, for other tools; the second is all there is to know."""
        try:
            number, _, rest = self.pid_file.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        try:
            told = json.loads(rest)
            return Server(
                pid=int(number), began=float(told["began"]), command=tuple(told["command"]), url=str(told["url"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise VitrinaError(
                f"{self.pid_file} is no pid file of Vitrina. Look whether its server runs, end it, and remove the file"
            ) from error

    def _write(self, server: Server) -> None:
        told = {name: value for name, value in asdict(server).items() if name != "pid"}
        write_whole(self.pid_file, f"{server.pid}\n{json.dumps(told)}\n".encode())


def _refusal(log: str) -> str:
    """Why the server did not start, from its last line, which may be one of JSON; empty when that says none."""
    last = log.rstrip().rpartition("\n")[2]
    if last.startswith("{"):
        try:
            last = str(json.loads(last).get("message"))
        except ValueError:
            return ""
    return last.removeprefix(REFUSED) if last.startswith(REFUSED) else ""


def check_free(host: str, port: int) -> None:
    """`ConfigError` when the address cannot be listened on."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        option = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        why = f"{host}:{port} cannot be listened on ({error.strerror})"
        raise ConfigError(f"{why}. Choose another: {option}") from error


def _began(pid: int) -> float:
    import psutil

    return psutil.Process(pid).create_time() - psutil.boot_time()


def _signal(one: Process, *, kill: bool) -> None:
    import psutil

    try:
        if kill:
            one.kill()
        else:
            one.terminate()
    except psutil.NoSuchProcess:
        return  # it ended by itself


def _readiness(url: str) -> dict[str, Any] | None:
    """The answer of /readyz, whatever its status; None while there is none. No proxy is asked."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        told = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return told if isinstance(told, dict) else None
