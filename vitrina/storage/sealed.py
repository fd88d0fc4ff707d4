"""Sealed folders: one JSON document in the folder lists every other file with its size and sha256.

`seal` is called last when a folder is written, `check_seal` first when it is read. Models (`model.json`) and
precomputed lists (`lists.json`) are both sealed this way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitrina.errors import DamagedError, ModelFormatError

REMEDY = "Make the folder again, or fetch it again from where it was published"
_OWN_KEYS = ("schema_version", "files", "seal")


def seal(folder: Path, name: str, content: Mapping[str, Any], *, schema_version: int) -> None:
    """Writes `folder/name`: `content` (what JSON holds; numpy scalars become numbers), size and sha256 of every file.

    Raises ModelFormatError when JSON cannot hold the content (NaN and infinity included) or it uses a key of the seal.
    """
    taken = [key for key in _OWN_KEYS if key in content]
    if taken:
        raise ModelFormatError(f"{folder / name}: the key {taken[0]!r} is written by the seal. Choose another key")
    files = {
        path: {"size": (folder / path).stat().st_size, "sha256": _sha256(folder / path)}
        for path in sorted(_files_under(folder))
        if path != name
    }
    document = {"schema_version": schema_version, **content, "files": files}
    try:
        text = _render({**document, "seal": _digest(document)})
    except (TypeError, ValueError) as error:
        raise ModelFormatError(
            f"{folder / name}: JSON cannot hold the content ({error}). Use finite numbers and text"
        ) from error
    (folder / name).write_text(text, encoding="utf-8")


def check_seal(folder: Path, name: str, *, schema_version: int, verify: bool = True) -> dict[str, Any]:
    """The sealed document of `folder`, once its schema version is known and its files are exactly the sealed ones.

    Names and sizes are always checked; `verify=False` leaves out reading every file for its sha256 (1 s per 500 MB).
    Raises ModelFormatError that names the file and the remedy: `DamagedError` when a sealed file is missing or changed.
    """
    document = read_seal(folder / name, schema_version=schema_version)
    sealed: dict[str, dict[str, Any]] = document["files"]
    present = set(_files_under(folder)) - {name}
    for path in sorted(sealed.keys() - present):
        raise DamagedError(f"{folder / path}: the file is missing. {REMEDY}")
    for path in sorted(present - sealed.keys()):
        raise ModelFormatError(f"{folder / path}: {name} does not know this file. Remove it, or make the folder again")
    for path, expected in sealed.items():
        size = (folder / path).stat().st_size
        if size != expected["size"]:
            raise DamagedError(f"{folder / path}: {size} bytes instead of {expected['size']}. {REMEDY}")
        if verify and _sha256(folder / path) != expected["sha256"]:
            raise DamagedError(f"{folder / path}: the content is damaged (sha256 differs). {REMEDY}")
    return document


def read_seal(path: Path, *, schema_version: int) -> dict[str, Any]:
    """The document at `path` alone, undamaged and of this schema version; its `files` have safe relative names."""
    try:
        text = path.read_bytes().decode("utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedError(f"{path}: the file is missing, so this is no finished folder. {REMEDY}") from error
    except ValueError as error:
        raise DamagedError(f"{path}: not readable as JSON. {REMEDY}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise DamagedError(f"{path}: no schema version in it. {REMEDY}")
    found = document["schema_version"]
    if found != schema_version:
        raise ModelFormatError(
            f"{path}: schema version {found}, this release reads {schema_version}. "
            "Train again, or run the release that wrote it"
        )
    written = document.pop("seal", None)
    if written != _digest(document) or text != _render({**document, "seal": written}):
        raise DamagedError(f"{path}: the content is damaged (its seal differs). {REMEDY}")
    for name in document["files"]:
        if name.startswith("/") or "\\" in name or not set(name.split("/")).isdisjoint({"", ".", ".."}):
            raise ModelFormatError(f"{path}: the file name {name!r} leads out of the folder. {REMEDY}")
    return document


def seal_of(document: Mapping[str, Any]) -> str:
    """The seal of a document as `read_seal` gives it: equal exactly when the folders are equal."""
    return _digest(document)


def _files_under(folder: Path, prefix: str = "") -> Iterator[str]:
    """Relative names, '/'-separated, of all regular files; anything else (a link, a pipe) is refused."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_under(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name
            else:
                raise ModelFormatError(f"{entry.path}: not a regular file. Copy the content instead of linking it")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_render(document).encode()).hexdigest()


def _render(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
