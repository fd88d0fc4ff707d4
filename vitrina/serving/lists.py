"""Precomputed lists: top items of the active users, and the histories of all users, as a sealed folder of plain arrays.

    lists.json          version, model_version, as_of, items_fingerprint; sizes and sha256 of the files
    users.npy           IdMap of the users with a history
    list_row.npy        int32 (users,), the row in the two files below, -1 without a list
    list_items.npy      int32 (active users, k), padded with -1
    list_scores.npy     float32 (active users, k)
    hist_{indptr,items,kinds,ts}.npy   the histories, most recent first inside a user

Lists are data, not model: they have their own version and cadence. They are objects: a folder `<root>/<version>` for
each, and the small file `<root>/current`, which tells the latest publications and what each of them fits. Readers copy
a folder to their own machine, map its arrays and keep what they have opened.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import DataError, ModelFormatError
from vitrina.events.ids import IdMap
from vitrina.features.history import Histories, History
from vitrina.storage.objects import Objects
from vitrina.storage.sealed import check_seal, read_seal, seal, seal_of

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
    """Writes the files of lists into an empty folder. `items_fingerprint` is that of the model's items (`IdMap`)."""
    users.save(folder / "users.npy")
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
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, dtype=dtype), allow_pickle=False)
    content = {
        "version": version,
        "model_version": model_version,
        "items_fingerprint": items_fingerprint,
        "as_of": int(as_of),
    }
    seal(folder, LISTS_FILE, content, schema_version=SCHEMA_VERSION)


@dataclass(frozen=True, kw_only=True)
class Published:
    """One publication of lists, as `<root>/current` tells it; `seal` is that of its lists.json."""

    version: str
    model_version: str
    items_fingerprint: str
    seal: str

    @property
    def copy(self) -> str:
        """Name of a local copy; the seal is in it, because a version may be made again with other content."""
        return f"{self.version}-{self.seal[:12]}"


def publish_lists(objects: Objects, root: str, version: str, *, keep: int = 3) -> None:
    """Makes the folder `<root>/<version>` the current lists in one step; of the others the last `keep - 1` stay."""
    document = read_seal(objects.local(f"{root}/{version}") / LISTS_FILE, schema_version=SCHEMA_VERSION)
    latest = Published(
        version=version,
        model_version=str(document["model_version"]),
        items_fingerprint=str(document["items_fingerprint"]),
        seal=seal_of(document),
    )
    known = [latest, *(one for one in published_lists(objects, root) if one.version != version)]
    content = json.dumps({"published": [asdict(one) for one in known[:keep]]})
    objects.put_bytes(f"{root}/{CURRENT}", content.encode())
    for old in known[keep:]:
        objects.delete(f"{root}/{old.version}")


def published_lists(objects: Objects, root: str) -> list[Published]:
    """What is published, the latest first; nothing before the first. `ModelFormatError` when it is not readable."""
    key = f"{root}/{CURRENT}"
    try:
        content = objects.get_bytes(key)
    except DataError:
        if objects.exists(key):
            raise
        return []
    try:
        return [Published(**one) for one in json.loads(content)["published"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{objects.uri(key)}: not readable ({error}). {_REMEDY}") from error


def find_lists(objects: Objects, root: str, *, model_version: str, items_fingerprint: str) -> Published | None:
    """The lists to serve beside a model, None without any that fit its items.

    The latest that this model made, else the latest with the same items, whose histories still fit.
    """
    fitting = [one for one in published_lists(objects, root) if one.items_fingerprint == items_fingerprint]
    own = [one for one in fitting if one.model_version == model_version]
    return next(iter(own or fitting), None)


def _map(path: Path, dtype: Any) -> npt.NDArray[Any]:
    # copy-on-write, because compiled code has one version for writable arrays and another for read-only ones
    array: npt.NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{path.name} holds {array.dtype}, not {np.dtype(dtype)}")
    return array.view(np.ndarray)
