"""A folder appears whole or not at all: it is built beside its place and renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitrina.errors import ConfigError


@contextmanager
def published(out: Path, *, marker: str) -> Iterator[Path]:
    """Yields an empty folder that takes the place of `out` when the block ends well, and vanishes when it does not.

    An `out` that exists must be empty or hold the file `marker` (so it is one of ours), else `ConfigError`.
    """
    if out.exists() and not (out.is_dir() and ((out / marker).is_file() or not any(out.iterdir()))):
        raise ConfigError(
            f"{out} exists and was not written by this step ({marker} is not in it). Give another folder."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.{os.getpid()}.new")
    previous = out.with_name(f".{out.name}.{os.getpid()}.old")
    for leftover in (building, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    building.mkdir()
    try:
        yield building
        if out.exists():
            out.rename(previous)
        try:
            building.rename(out)
        except OSError:
            if previous.exists():
                previous.rename(out)
            raise
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
