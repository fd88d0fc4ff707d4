"""Text files of offices, which are not always UTF-8, as UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vitrina.events.sources import DataFile

_BLOCK = 1 << 20
_HIGH = re.compile(rb"[\x80-\xff]+")
_WORD = 3
"""So many letters beyond ASCII in a row make a Cyrillic word; in Western texts they stand alone."""


def as_utf8(file: DataFile, work: Path) -> tuple[DataFile, str | None]:
    """The same file, or one in `work` that says the same in UTF-8; and the encoding that it was taken to have, None for
    UTF-8 and what is no csv. Without a mark at its beginning it is Windows-1251 or Windows-1252."""
    encoding = _encoding(file.path) if file.format == "csv" else None
    if encoding is None:
        return file, None
    work.mkdir(parents=True, exist_ok=True)
    target = work / f"{file.path.name}.utf8"
    with (
        file.path.open("r", encoding=encoding, errors="replace", newline="") as text,
        target.open("w", encoding="utf-8", newline="") as out,
    ):
        while block := text.read(_BLOCK):
            out.write(block)
    return replace(file, path=target), encoding


def _encoding(path: Path) -> str | None:
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    if _is_utf8(path):
        return None
    high = words = 0
    for block in _blocks(path):
        runs = [len(run) for run in _HIGH.findall(block)]
        high += sum(runs)
        words += sum(run for run in runs if run >= _WORD)
    return "cp1251" if 2 * words > high else "cp1252"


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(path):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
