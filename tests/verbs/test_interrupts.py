"""Ctrl-C reaches the entry point from places that lose an exception, and the process ends without a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = """
import atexit, os, signal, sys, time
from vitrina.verbs.interrupts import CtrlC

ctrl_c = CtrlC()
ctrl_c.listen()
try:
{work}
    time.sleep(30)
except KeyboardInterrupt:
    print("reached", flush=True)
    ctrl_c.end()
"""
PRESSED = "os.kill(os.getpid(), signal.SIGINT)"


def interrupted(folder: Path, *work: str) -> subprocess.CompletedProcess[str]:
    """A command whose `work` presses Ctrl-C, and which would go on for half a minute."""
    script = folder / "command.py"
    script.write_text(COMMAND.format(work="\n".join(f"    {line}" for line in work)))
    return subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)


def test_a_module_that_swallows_it_while_it_is_imported_is_imported_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(
        f"import os, signal\ntry:\n    {PRESSED}\nexcept BaseException:\n    raise ImportError\n"
    )
    ended = interrupted(tmp_path, "import greedy", "print('imported', flush=True)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "imported\nreached\n", "")


def test_a_finalizer_that_drops_it_only_delays_it(tmp_path: Path) -> None:
    ended = interrupted(tmp_path, "class Dropping:", f"    def __del__(self): {PRESSED}", "Dropping()")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "reached\n", "")


def test_what_aborts_when_it_is_torn_down_does_not_end_it_and_what_is_registered_runs(tmp_path: Path) -> None:
    ended = interrupted(
        tmp_path,
        "class Native:",
        "    def __del__(self, abort=os.abort): abort()",
        "native = sys.native = Native()",
        "atexit.register(print, 'tidied')",
        PRESSED,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "reached\ntidied\n", "")


def test_without_it_a_command_ends_as_ever(tmp_path: Path) -> None:
    ended = interrupted(tmp_path, "sys.exit(3)")
    assert (ended.returncode, ended.stdout) == (3, "")
