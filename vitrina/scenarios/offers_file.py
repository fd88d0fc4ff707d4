"""A CSV file of answers for many customers, which appears whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vitrina.errors import DataError
from vitrina.storage.building import claimed, clear_dead

REMEDY = "Name a file to write: --out FILE.csv"


@contextmanager
def offers_file(out: Path, header: Sequence[str]) -> Iterator[Callable[[Iterable[Sequence[Any]]], None]]:
    """Gives what takes rows below the header, in a temporary folder beside `out`; they become `out` when the block
    succeeds. Of several that write the same `out` at once, the last to end stays.

    `DataError` when it cannot be written.
    """
    if out.is_dir():
        raise DataError("this is a folder", where=str(out), remedy=REMEDY)
    prefix = f".{out.name}."
    with ExitStack() as stack:
        with _told(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(claimed(out.parent, prefix))
            clear_dead(out.parent, prefix, own=folder)
            file = stack.enter_context((folder / "rows.csv").open("w", newline="", encoding="utf-8"))
        writer = csv.writer(file)

        def write(rows: Iterable[Sequence[Any]]) -> None:
            with _told(out):
                writer.writerows(rows)

        write([header])
        yield write
        with _told(out):
            file.close()
            (folder / "rows.csv").replace(out)


@contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot be written ({error.strerror})", where=str(out), remedy=REMEDY) from error
