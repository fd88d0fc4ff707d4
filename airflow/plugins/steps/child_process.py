"""One call of `vitrina` as a child process: its lines flow out while it runs, its answer and exit code at the end."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

BAD_INPUT = 2
"""Exit code of a command whose input cannot be used; trying again would change nothing."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child process ended: `code` as Python gives it (negative: killed by that signal), `document` its JSON
    answer, `reason` why it failed and empty when it did not."""

    code: int
    document: Mapping[str, Any]
    reason: str


class Child:
    """A command in a process group of its own. It dies with the process that started it, however that one dies, so
    that no second try ever runs beside a forgotten first one."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None

    def run(self, say: Callable[[int, str], None]) -> Ended:
        """Runs it to its end; `say` hears each line of its standard error at once, with its level as `logging` has it.
        `FileNotFoundError` without it."""
        last = ""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            assert self._process.stderr is not None
            with self._process.stderr as lines:
                for line in lines:
                    if line.strip():
                        level, text = readable(line.rstrip())
                        last = text.strip()
                        say(level, text)
            code = self._process.wait()
            document = _answer(answer)
        return Ended(code=code, document=document, reason=_reason(code, document, last))

    def stop(self, patience: float = 3.0) -> None:
        """Ends the whole group: SIGTERM, SIGKILL to what is left after `patience` seconds; returns when it is gone."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def readable(line: str) -> tuple[int, str]:
    """Level and text of a line for people: a JSON log line gives its message, with the exception below; any other line
    is taken as it is. What else the line says (run, scenario, step) the task's log knows already."""
    try:
        found = json.loads(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return logging.INFO, line
    level = logging.getLevelNamesMapping().get(str(found.get("level")).upper(), logging.INFO)
    return level, "\n".join(filter(None, [found["message"], found.get("exception")]))


def _answer(written: IO[str]) -> dict[str, Any]:
    """The document on the last line of standard output; empty when there is none."""
    written.seek(0)
    lines = written.read().strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _reason(code: int, document: Mapping[str, Any], last: str) -> str:
    if code == 0:
        return ""
    error = document.get("error")
    if isinstance(error, Mapping) and error.get("reason"):
        return str(error["reason"])
    if code < 0:
        killed = f"killed by {signal.Signals(-code).name}"
        return f"{killed}; its last line: {last}" if last else killed
    return last or f"ended with exit code {code} without a word"
