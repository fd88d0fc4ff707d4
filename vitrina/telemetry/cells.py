"""Numbers under keys, kept where a killed process leaves them: what all counting rests on.

In: keys of a metric and its labels. Out: `values`, a view of float64 in which each key has its place. With a folder the
numbers are in a mapped file, so they are exact whenever the process ends, and every process can read those of all.

A process holds a slot of the folder: `N.cells` with the numbers and `N.keys` with their keys in the same order, locked
for as long as it lives. The lock tells who lives, since the kernel lets it go with the process. A new process goes on
counting in the slot of an ended one, so there are never more slots than there were processes at a time. One aligned
store of eight bytes changes a number, so nobody reads half of one.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import math
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

Key = tuple[str | int, ...]
CELLS = 65_536
BYTES = 8
ABSENT = math.nan
log = logging.getLogger(__name__)


class Cells:
    """The numbers of this process. `add` and `put` may be called by any thread; a number that only one thread changes
    may be changed in `values` directly. The last place takes what has no room.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._slot = None if folder is None else _Slot.take(folder)
        self._shown = True
        keys = [] if self._slot is None else self._slot.keys()
        self._places = {key: place for place, key in enumerate(keys)}
        room = bytearray(CELLS * BYTES) if self._slot is None else self._slot.mapped(CELLS * BYTES)
        self.values = memoryview(room).cast("d")

    def places(self, keys: Sequence[Key], start: float = 0.0) -> list[int]:
        """Where these keys are in `values`; new ones begin at `start`. Places stay."""
        with self._lock:
            new = [key for key in dict.fromkeys(keys) if key not in self._places]
            if new:
                self._add(new, start)
            return [self._places.get(key, CELLS - 1) for key in keys]

    def add(self, key: Key, amount: float = 1.0) -> None:
        """Adds to one number."""
        place = self._place(key, 0.0)
        with self._lock:
            self.values[place] += amount

    def put(self, key: Key, value: float) -> None:
        """Sets one number."""
        place = self._place(key, value)
        with self._lock:
            self.values[place] = value

    def snapshot(self) -> dict[Key, float]:
        """All numbers at this moment."""
        with self._lock:
            return {key: self.values[place] for key, place in self._places.items()}

    def close(self) -> None:
        """Lets the slot go, as the end of the process would."""
        if self._slot is not None:
            self._slot.close()

    def _place(self, key: Key, start: float) -> int:
        place = self._places.get(key)
        return self.places([key], start)[0] if place is None else place

    def _add(self, keys: list[Key], start: float) -> None:
        first = len(self._places)
        if first + len(keys) >= CELLS:
            log.error("There is no room for counts under %s: they are lost. Labels have to come from closed sets", keys)
            return
        for place in range(first, first + len(keys)):
            self.values[place] = start
        if self._slot is not None and self._shown:
            try:
                self._slot.add(keys)  # from here on the others see the keys, with their numbers
            except OSError:
                log.exception("The metrics folder cannot be written: counts under new labels stay unseen")
                self._shown = False  # a later key would stand in the wrong line
        self._places |= {key: first + place for place, key in enumerate(keys)}


def all_slots(folder: Path) -> Iterator[tuple[dict[Key, float], bool]]:
    """The numbers of each slot of a folder, and whether its process lives."""
    for path in sorted(folder.glob("*.keys")):
        file = os.open(path.with_suffix(".cells"), os.O_RDONLY)
        try:
            yield _numbers(file, _keys(path.read_bytes())), _held(file)
        finally:
            os.close(file)


def _numbers(file: int, keys: list[Key]) -> dict[Key, float]:
    if not keys:
        return {}
    with mmap.mmap(file, len(keys) * BYTES, prot=mmap.PROT_READ) as mapped, memoryview(mapped).cast("d") as values:
        return dict(zip(keys, values, strict=True))


class _Slot:
    """The two files of one process; `file` holds the lock."""

    def __init__(self, file: int, keys: Path) -> None:
        self._file = file
        self._names = os.open(keys, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        content = keys.read_bytes()
        os.ftruncate(self._names, content.rfind(b"\n") + 1)  # a killed process may have left half a line
        self._keys = _keys(content)

    @classmethod
    def take(cls, folder: Path) -> _Slot:
        """The first slot that no living process holds."""
        for number in itertools.count():
            file = os.open(folder / f"{number}.cells", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                return cls(file, folder / f"{number}.keys")
        raise AssertionError("unreachable: numbers do not end")

    def keys(self) -> list[Key]:
        return self._keys

    def add(self, keys: list[Key]) -> None:
        os.write(self._names, b"".join(json.dumps(key).encode() + b"\n" for key in keys))

    def mapped(self, size: int) -> mmap.mmap:
        """The file at this size. Its blocks are taken now: a full disk met later would end the process."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file, 0, size)
        else:
            os.ftruncate(self._file, size)
        return mmap.mmap(self._file, size)

    def close(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)  # the mapping holds the file open, so closing alone would not do
        os.close(self._names)
        os.close(self._file)


def _held(file: int) -> bool:
    """Whether a process holds the lock of this slot."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _keys(content: bytes) -> list[Key]:
    """The whole lines; a last one without an end is still being written."""
    whole = content[: content.rfind(b"\n") + 1]
    return [tuple(json.loads(line)) for line in whole.splitlines()]
