"""Which tests share a process when there are several."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadScopeScheduling

WHOLE: Final = ("tests/stack", "tests/pipelines")
"""Folders whose tests share what a machine has room for once: the composed stack, and Airflow."""


class ByPlace(LoadScopeScheduling):
    """Gives a process a whole file at a time, or a whole folder of `WHOLE`; the tests keep their order."""

    def _split_scope(self, nodeid: str) -> str:
        return place(nodeid)


def place(nodeid: str) -> str:
    """The folder of `WHOLE`, else the file, in which a test lies."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in WHOLE if path.startswith(f"{folder}/")), path)
