"""Folders and files that appear whole or not at all: built beside their place, then renamed into it."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """Yields an empty folder beside `target`; it becomes `target` when the block ends without an error, else it goes.

    A folder that stands there already is replaced. Linux renames no folder over a full one, so the old one is away for
    an instant before the new one stands; readers that must not notice go through `Objects`, which switches a link.
    What a killed process left beside the target is cleared by the next call.
    """
    target = Path(target).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with claimed(target.parent, f".{target.name}.") as staged:
        yield staged
        with locked(target.parent):
            replaced = target.with_name(f".{target.name}.replaced")
            clear_dead(target.parent, f".{target.name}.", own=staged)
            if replaced.exists() and target.exists():
                shutil.rmtree(replaced)
            if target.exists():
                target.rename(replaced)
            staged.rename(target)
            shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def claimed(parent: Path, prefix: str) -> Iterator[Path]:
    """Yields a new folder `<parent>/<prefix><random>.new`, removed at the end if it still has that name.

    It is locked while the block runs, so that `clear_dead` can tell it from one whose process was killed.
    """
    while True:
        staged = parent / f"{prefix}{uuid.uuid4().hex[:12]}.new"
        staged.mkdir()
        try:
            handle = os.open(staged, os.O_RDONLY)
        except FileNotFoundError:
            continue  # cleared between its making and its lock
        fcntl.flock(handle, fcntl.LOCK_EX)
        if staged.exists():
            break
        os.close(handle)
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        os.close(handle)


def clear_dead(parent: Path, prefix: str, *, own: Path) -> None:
    """Removes the folders made by `claimed` whose process is gone; `own` is the caller's and stays."""
    for path in parent.iterdir():
        if path == own or not (path.name.startswith(prefix) and path.name.endswith(".new") and path.is_dir()):
            continue
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # its process has removed it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue  # its process is at work
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of an existing folder: one holder at a time, over threads and processes; a kill releases it.

    Not re-entrant, and `building` takes the lock of the parent of what it builds.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a small file and forces it to disk; a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.new")
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
