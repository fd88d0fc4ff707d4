"""Ctrl-C on the command line: a KeyboardInterrupt that reaches the entry point wherever it strikes, and a quiet end.

Python and its extension modules lose an exception in some places: a finalizer and a weak reference's callback drop it,
a module that is being imported may take it for a missing dependency, or leave a native library half set up. So none is
raised there; the interrupt comes again a moment later.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""
AGAIN_SECONDS = 0.05
IMPORTING = "<frozen importlib._bootstrap"


class CtrlC:
    """Handles SIGINT once it is listened to; `seen` tells whether one came. Uses SIGALRM for what comes again."""

    def __init__(self) -> None:
        self.seen = False
        self._ending = False

    def listen(self) -> None:
        """Takes SIGINT and what Python drops, for the rest of the process; to be called in the main thread, early."""
        signal.signal(signal.SIGINT, self._raise)
        signal.signal(signal.SIGALRM, self._raise)
        atexit.register(self._leave)  # the first to be registered is the last to run
        drop = sys.unraisablehook

        def dropped(unraisable: sys.UnraisableHookArgs) -> None:
            if issubclass(unraisable.exc_type, KeyboardInterrupt):
                _again()
            else:
                drop(unraisable)

        sys.unraisablehook = dropped

    def end(self) -> NoReturn:
        """Ends the process with `INTERRUPTED` after what is registered to run at its end.

        Native libraries are not torn down: one that was stopped in its work may abort then, and the exit code would
        tell of a crash.
        """
        self._ending = True
        sys.exit(INTERRUPTED)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if _imports(frame):
            _again()
        else:
            signal.default_int_handler(number, frame)

    def _leave(self) -> None:
        if not self._ending:
            return
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(INTERRUPTED)


def _again() -> None:
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False
