"""Ctrl-C on the command line: a KeyboardInterrupt that reaches the entry point wherever it strikes."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

AGAIN_SECONDS = 0.05


class CtrlC:
    """Handles SIGINT once it is listened to; `seen` tells whether one came.

    Python drops an exception that a finalizer or a weak reference's callback raises, and the handler may run inside
    one: then the interrupt comes again a moment later.
    """

    def __init__(self) -> None:
        self.seen = False

    def listen(self) -> None:
        """Takes SIGINT and what Python drops, for the rest of the process; to be called in the main thread."""
        signal.signal(signal.SIGINT, self._raise)
        drop, main = sys.unraisablehook, threading.get_ident()

        def dropped(unraisable: sys.UnraisableHookArgs) -> None:
            if issubclass(unraisable.exc_type, KeyboardInterrupt):
                threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGINT)).start()
            else:
                drop(unraisable)

        sys.unraisablehook = dropped

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        signal.default_int_handler(number, frame)
