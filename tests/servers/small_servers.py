"""Servers in the background in small, and what lives of them: for tests of which process is whose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from ports import free_port
from waiting import PATIENCE, wait

from vitrina.verbs.background import Background, Server

# A server in small: it answers /readyz, has a worker that it does not wait for, and may be deaf to SIGTERM.
SMALL = """
import http.server, os, signal, sys, time
port, deaf = int(sys.argv[1]), sys.argv[2] == "deaf"
if deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"models": {"toy": "1"}}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *given):
        pass
server = http.server.HTTPServer(("127.0.0.1", port), Answer)
worker = os.fork()
if worker == 0:
    server.socket.close()
    time.sleep(600)
    os._exit(0)
def end(number, frame):
    os.kill(worker, signal.SIGTERM)
    os._exit(0)
if not deaf:
    signal.signal(signal.SIGTERM, end)
print("serving", flush=True)
server.serve_forever()
"""
Started = tuple[Server, subprocess.Popen[bytes]]


class Folder(Background):
    """A state folder with servers in small; what a test leaves is killed."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.children: list[subprocess.Popen[bytes]] = []

    def begin(
        self, code: str = SMALL, port: int | None = None, how: str = ""
    ) -> tuple[Server, subprocess.Popen[bytes]]:
        port = port or free_port()
        command = [sys.executable, "-c", code, str(port), how]
        server, child = self.start(command, host="127.0.0.1", port=port, environment=os.environ)
        self.children.append(child)
        return server, child

    def ready(self, how: str = "") -> Started:
        server, child = self.begin(how=how)
        assert self.wait(server, child, PATIENCE) == {"models": {"toy": "1"}}
        return server, child

    def clear(self) -> None:
        for child in self.children:
            for one in psutil.pids():
                if session(one) == child.pid:
                    os.kill(one, signal.SIGKILL)
            child.wait(timeout=PATIENCE)


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def members(server: Server) -> list[int]:
    """What lives in the session of a server."""
    return [pid for pid in psutil.pids() if session(pid) == server.pid and alive(pid)]


def kill(server: Server) -> None:
    """The end that no server hears of."""
    for pid in members(server):
        os.kill(pid, signal.SIGKILL)
    wait(lambda: members(server) == [], pause=0.05)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
