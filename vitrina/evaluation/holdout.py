"""Scores lists against the caller's own file of (user, item) pairs: a CSV in, a `Truth` and what was unknown out.

Nothing is dropped in silence. An item that the catalogue does not hold stays in the truth as one that cannot be found,
so it counts as a miss; a user whom the model does not know gets the list of a newcomer. Both are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitrina.errors import DataError
from vitrina.evaluation.id_files import ITEM_COLUMNS, USER_COLUMNS, id_reader, id_rows
from vitrina.evaluation.report import Scores
from vitrina.evaluation.truth import Bools, Int32s, Truth
from vitrina.events.ids import IdMap


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """The file in the model's row numbers.

    Unknown users have rows from len(users) upwards and `known` (rows,) False; unknown items likewise from len(items).
    pairs: distinct (user, item) pairs of the file; repeats: further lines that say the same.
    """

    truth: Truth
    known: Bools
    pairs: int
    repeats: int
    unknown_users: int
    unknown_items: int
    unknown_item_pairs: int

    @property
    def users(self) -> Int32s:
        """Row number of each truth row's user in the model, int32 (rows,), -1 for an unknown one."""
        return np.where(self.known, self.truth.row_ids, -1).astype(np.int32)

    def text(self) -> str:
        """What was read and what was unknown, in one sentence."""
        return (
            f"{len(self.truth)} users and {self.pairs} pairs ({self.repeats} repeated lines); unknown: "
            f"{self.unknown_users} users (scored on the newcomers' list), "
            f"{self.unknown_items} items in {self.unknown_item_pairs} pairs (scored as misses)"
        )


@dataclass(frozen=True, kw_only=True)
class HoldoutScores:
    """Scores over all users of the file, and over those that the model knows (None when there are none)."""

    holdout: Holdout
    every_user: Scores
    known_users: Scores | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        h = self.holdout
        return {
            "users": len(h.truth),
            "pairs": h.pairs,
            "repeated_lines": h.repeats,
            "unknown_users": h.unknown_users,
            "unknown_items": h.unknown_items,
            "unknown_item_pairs": h.unknown_item_pairs,
            "metrics": self.every_user.means(),
            "metrics_known_users": None if self.known_users is None else self.known_users.means(),
        }


def score_holdout(
    holdout: Holdout, recommend: Callable[[Int32s, int], Int32s], *, ks: Iterable[int] = (10,)
) -> HoldoutScores:
    """Asks `recommend(users, k)` once: users int32 (rows,), -1 for a newcomer; answer int32 (rows, k), -1 pads."""
    depths = tuple(ks)
    recs = recommend(holdout.users, max(depths))
    known = holdout.known
    every = Scores.of(recs, holdout.truth, depths)
    inside = Scores.of(recs[known], holdout.truth.where(known), depths) if known.any() else None
    return HoldoutScores(holdout=holdout, every_user=every, known_users=inside)


def read_holdout(path: Path | str, *, users: IdMap, items: IdMap) -> Holdout:
    """Reads a CSV (also .gz; comma, semicolon or tab) whose header names a user and an item column; others are ignored.

    `DataError` with file and row for a missing column, an empty or ill-typed id, a broken file, or no pair at all.
    """
    where = str(path)
    user_ids: list[Any] = []
    item_ids: list[Any] = []
    read_user, read_item = id_reader(users, "user"), id_reader(items, "item")
    for row, (user, item) in id_rows(Path(path), {"user": USER_COLUMNS, "item": ITEM_COLUMNS}):
        user_ids.append(read_user(user, f"{where}, row {row}"))
        item_ids.append(read_item(item, f"{where}, row {row}"))
    if not user_ids:
        raise DataError("it has a header and no rows", where=where, remedy="Give at least one user,item line.")
    user_rows, unknown_users = _rows(users, user_ids)
    item_rows, unknown_items = _rows(items, item_ids)
    truth = Truth.from_pairs(user_rows, item_rows)
    return Holdout(
        truth=truth,
        known=truth.row_ids < len(users),
        pairs=len(truth.items),
        repeats=len(user_ids) - len(truth.items),
        unknown_users=unknown_users,
        unknown_items=unknown_items,
        unknown_item_pairs=int(np.count_nonzero(truth.items >= len(items))),
    )


def _rows(ids: IdMap, values: list[Any]) -> tuple[Int32s, int]:
    """Row of each value; unknown ones are numbered from len(ids) upwards. And how many distinct ones are unknown."""
    distinct = {value: place for place, value in enumerate(dict.fromkeys(values))}
    rows = ids.rows(np.array(list(distinct), dtype=np.int64) if ids.kind == "int" else list(distinct))
    unknown = np.flatnonzero(rows < 0)
    rows[unknown] = len(ids) + np.arange(len(unknown))
    return rows[np.fromiter((distinct[v] for v in values), dtype=np.int64, count=len(values))], len(unknown)
