"""The model folder: plain arrays, plain files and JSON, sealed; nothing in it is executed when it is read.

    model.json       schema version, meta, each array's dtype and shape, each file's size and sha256
    arrays/<name>.npy
    <file>           for example ranker.cbm

In: arrays, files and meta of a fitted recommender. Out: a `StoredModel` whose arrays are memory-mapped.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitrina.errors import ModelFormatError
from vitrina.storage.building import building
from vitrina.storage.sealed import REMEDY, check_seal, read_seal, seal

SCHEMA_VERSION = 1
MODEL_FILE = "model.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_PLAIN_KINDS = "biufSU"  # bool, integers, floats, fixed-width bytes and text


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A model folder as read: `arrays` are memory maps that share their pages; writing to one changes a private copy,
    never a file.

    `files` are absolute or relative as `folder` is.
    """

    folder: Path
    arrays: dict[str, np.ndarray]
    files: dict[str, Path]
    meta: dict[str, Any]


def write_model(
    folder: Path, *, arrays: Mapping[str, np.ndarray], files: Mapping[str, Path | bytes], meta: Mapping[str, Any]
) -> None:
    """Writes the model folder whole or not at all, replacing one that is there; `files` (or their content) get the
    names of their keys.

    `meta` is what JSON holds, with finite numbers. Raises ModelFormatError for a bad name or array.
    """
    for name in [*arrays, *files]:
        if not _NAME.fullmatch(name) or name in (MODEL_FILE, "arrays"):
            raise ModelFormatError(
                f"{name!r} cannot name a model's array or file. Use letters, digits, '_', '-' and '.'"
            )
    with building(Path(folder)) as staged:
        (staged / "arrays").mkdir()
        described = {}
        for name, given in arrays.items():
            array = np.asarray(given)
            if array.dtype.kind not in _PLAIN_KINDS:
                raise ModelFormatError(
                    f"array {name!r} has dtype {array.dtype}. Store numbers, or fixed-width bytes or text"
                )
            np.save(staged / "arrays" / f"{name}.npy", array, allow_pickle=False)
            described[name] = {"dtype": array.dtype.str, "shape": list(array.shape)}
        for name, file in files.items():
            if isinstance(file, bytes):
                (staged / name).write_bytes(file)
            else:
                shutil.copyfile(file, staged / name)
        seal(staged, MODEL_FILE, {"meta": dict(meta), "arrays": described}, schema_version=SCHEMA_VERSION)


def read_model(folder: Path, *, verify: bool = True) -> StoredModel:
    """Opens a model folder; `verify=False` trusts the content of the files (sizes, dtypes and shapes are checked).

    Raises ModelFormatError for another schema version, a missing, foreign or damaged file, a wrong dtype or shape.
    """
    folder = Path(folder)
    document = check_seal(folder, MODEL_FILE, schema_version=SCHEMA_VERSION, verify=verify)
    if not {"arrays", "meta"} <= document.keys():
        raise ModelFormatError(f"{folder / MODEL_FILE}: describes no arrays or no meta, so it is not a model. {REMEDY}")
    arrays = {
        name: _map_array(folder / "arrays" / f"{name}.npy", dtype=expected["dtype"], shape=tuple(expected["shape"]))
        for name, expected in document["arrays"].items()
    }
    files = {name: folder / name for name in document["files"] if not name.startswith("arrays/")}
    return StoredModel(folder=folder, arrays=arrays, files=files, meta=document["meta"])


@contextmanager
def receiving(folder: Path, source: str) -> Iterator[Path]:
    """Yields an empty folder to put a model into; it becomes `folder` once it is verified.

    A `ModelFormatError` names `source`, where the files came from, because the copy is gone by then.
    """
    with building(folder) as staged:
        try:
            yield staged
            read_model(staged)
        except ModelFormatError as error:
            raise ModelFormatError(str(error).replace(str(staged), source)) from error


def content_digest(folder: Path, *, without: Collection[str] = ()) -> str:
    """64 hexadecimal digits, equal for models with equal arrays and meta (keys `without` apart), whenever they were
    made; the other files are left out, for `ranker.cbm` holds the hour of its training."""
    document = read_seal(folder / MODEL_FILE, schema_version=SCHEMA_VERSION)
    arrays = {name: one["sha256"] for name, one in document["files"].items() if name.startswith("arrays/")}
    meta = {key: value for key, value in document["meta"].items() if key not in without}
    return hashlib.sha256(json.dumps([arrays, meta], sort_keys=True).encode()).hexdigest()


def _map_array(path: Path, *, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    # copy-on-write, because compiled code has one version for writable arrays and another for read-only ones
    try:
        array: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not readable as an array ({error}). {REMEDY}") from error
    if array.dtype.str != dtype or array.shape != shape:
        raise ModelFormatError(f"{path}: {array.dtype.str} {array.shape} instead of {dtype} {shape}. {REMEDY}")
    return array
