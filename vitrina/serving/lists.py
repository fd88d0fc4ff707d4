"""Precomputed lists: top items of the active users, and the histories of all users, as a sealed folder of plain arrays.

    lists.json          version, model_version, as_of, items_fingerprint; sizes and sha256 of the files
    users.npy           IdMap of the users with a history
    list_row.npy        int32 (users,), the row in the two files below, -1 without a list
    list_items.npy      int32 (active users, k), padded with -1
    list_scores.npy     float32 (active users, k)
    hist_{indptr,items,kinds,ts}.npy   the histories, most recent first inside a user

Lists are data, not model: they have their own version and cadence. `publish_lists` switches `root/current` to a folder
under `root` in one step; readers map the arrays and keep what they have opened.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import DataError, ModelFormatError
from vitrina.events.ids import IdMap
from vitrina.features.history import Histories, History
from vitrina.storage.building import building, write_whole
from vitrina.storage.sealed import check_seal, read_seal, seal

SCHEMA_VERSION = 1
LISTS_FILE = "lists.json"
CURRENT = "current"
_REMEDY = "Make the lists again: vitrina step storefront publish"

Rows = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """An opened folder; every array is a memory map that nobody writes. Rows of users are rows of `users`."""

    folder: Path
    version: str
    model_version: str
    items_fingerprint: str
    as_of: int
    users: IdMap
    list_row: Rows
    list_items: Rows
    list_scores: Scores
    histories: Histories

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True) -> Lists:
        """Checks the seal and maps the arrays. `ModelFormatError` for damage, another schema or wrong shapes."""
        folder = Path(folder)
        document = check_seal(folder, LISTS_FILE, schema_version=SCHEMA_VERSION, verify=verify)
        try:
            lists = cls(
                folder=folder,
                version=str(document["version"]),
                model_version=str(document["model_version"]),
                items_fingerprint=str(document["items_fingerprint"]),
                as_of=int(document["as_of"]),
                users=IdMap.load(folder / "users.npy"),
                list_row=_map(folder / "list_row.npy", np.int32),
                list_items=_map(folder / "list_items.npy", np.int32),
                list_scores=_map(folder / "list_scores.npy", np.float32),
                histories=Histories(
                    indptr=_map(folder / "hist_indptr.npy", np.int64),
                    items=_map(folder / "hist_items.npy", np.int32),
                    kinds=_map(folder / "hist_kinds.npy", np.int8),
                    ts=_map(folder / "hist_ts.npy", np.int64),
                ),
            )
        except (KeyError, OSError, ValueError, DataError) as error:
            raise ModelFormatError(f"{folder}: not readable as lists ({error}). {_REMEDY}") from error
        lists._check_shapes()
        return lists

    def row_of(self, user: int | str) -> int:
        """Row of a user, -1 for one without a history."""
        return self.users.index_of(user)

    def top(self, row: int) -> tuple[Rows, Scores] | None:
        """Items and scores of a user's list, best first; None without a list."""
        place = int(self.list_row[row])
        if place < 0:
            return None
        items = self.list_items[place]
        if items[-1] < 0:
            kept = items >= 0
            return items[kept], self.list_scores[place][kept]
        return items, self.list_scores[place]

    def history(self, row: int) -> History:
        """What a user did, most recent first."""
        return self.histories.of(row)

    def check_items(self, count: int) -> None:
        """`ModelFormatError` when a row of the lists or histories is none of a catalogue of `count` items."""
        for name, rows in (("list_items.npy", self.list_items), ("hist_items.npy", self.histories.items)):
            if rows.size and not -1 <= int(rows.min()) <= int(rows.max()) < count:
                raise ModelFormatError(f"{self.folder / name}: holds items that the model does not have. {_REMEDY}")

    def _check_shapes(self) -> None:
        users, active, events = len(self.users), len(self.list_items), len(self.histories.items)
        faults = {
            "list_row.npy": self.list_row.shape != (users,) or bool(users and self.list_row.max() >= active),
            "list_items.npy": self.list_items.ndim != 2 or self.list_items.shape[1] == 0,
            "list_scores.npy": self.list_scores.shape != self.list_items.shape,
            "hist_indptr.npy": self.histories.indptr.shape != (users + 1,) or self.histories.indptr[-1] != events,
            "hist_kinds.npy": len(self.histories.kinds) != events,
            "hist_ts.npy": len(self.histories.ts) != events,
        }
        for name, wrong in faults.items():
            if wrong:
                raise ModelFormatError(f"{self.folder / name}: does not fit the other files. {_REMEDY}")


def write_lists(
    folder: Path,
    *,
    version: str,
    model_version: str,
    items_fingerprint: str,
    as_of: int,
    users: IdMap,
    list_row: Rows,
    list_items: Rows,
    list_scores: Scores,
    histories: Histories,
) -> None:
    """Writes a list folder whole or not at all. `items_fingerprint` is that of the model's items (`IdMap`)."""
    with building(folder) as staged:
        users.save(staged / "users.npy")
        arrays: dict[str, tuple[npt.NDArray[Any], Any]] = {
            "list_row": (list_row, np.int32),
            "list_items": (list_items, np.int32),
            "list_scores": (list_scores, np.float32),
            "hist_indptr": (histories.indptr, np.int64),
            "hist_items": (histories.items, np.int32),
            "hist_kinds": (histories.kinds, np.int8),
            "hist_ts": (histories.ts, np.int64),
        }
        for name, (array, dtype) in arrays.items():
            np.save(staged / f"{name}.npy", np.ascontiguousarray(array, dtype=dtype), allow_pickle=False)
        content = {
            "version": version,
            "model_version": model_version,
            "items_fingerprint": items_fingerprint,
            "as_of": int(as_of),
        }
        seal(staged, LISTS_FILE, content, schema_version=SCHEMA_VERSION)


def publish_lists(root: Path, version: str, *, keep: int = 3) -> None:
    """Makes `root/<version>` the current lists in one step; of the others the newest `keep - 1` stay."""
    read_seal(root / version / LISTS_FILE, schema_version=SCHEMA_VERSION)
    write_whole(root / CURRENT, json.dumps({"version": version}).encode())
    for old in _newest_first(root)[keep:]:
        if old != version:
            shutil.rmtree(root / old)


def current_version(root: Path) -> str | None:
    """The version that `root/current` names, None before the first. `ModelFormatError` when it is not readable."""
    path = root / CURRENT
    try:
        version = json.loads(path.read_bytes())["version"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{path}: not readable ({error}). {_REMEDY}") from error
    if not isinstance(version, str) or "/" in version or version.startswith("."):
        raise ModelFormatError(f"{path}: {version!r} names no version. {_REMEDY}")
    return version


def find_lists(root: Path, *, model_version: str, items_fingerprint: str) -> Path | None:
    """The list folder to serve beside a model, None without any that fits its items.

    The current one when this model made it, else the newest that it made, else the newest with the same items, whose
    histories still fit.
    """
    current = current_version(root)
    names = sorted(_newest_first(root), key=lambda name: name != current)
    fitting = None
    for name in names:
        try:
            document = read_seal(root / name / LISTS_FILE, schema_version=SCHEMA_VERSION)
        except ModelFormatError:
            if name == current:
                raise
            continue
        if document.get("items_fingerprint") != items_fingerprint:
            continue
        if document.get("model_version") == model_version:
            return root / name
        fitting = fitting or root / name
    return fitting


def _newest_first(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if (path / LISTS_FILE).is_file() and not path.name.startswith(".")]
    return [path.name for path in sorted(folders, key=lambda path: (path / LISTS_FILE).stat().st_mtime, reverse=True)]


def _map(path: Path, dtype: Any) -> npt.NDArray[Any]:
    # copy-on-write, because compiled code has one version for writable arrays and another for read-only ones
    array: npt.NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{path.name} holds {array.dtype}, not {np.dtype(dtype)}")
    return array.view(np.ndarray)
