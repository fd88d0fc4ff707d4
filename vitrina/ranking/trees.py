"""CatBoost's oblivious trees as plain arrays, evaluated by a compiled loop: the same scores, without CatBoost in the
service.

An oblivious tree of depth d asks d questions `x[feature] > border`; the answers are the bits of the leaf's number.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numba
import numpy as np
import numpy.typing as npt

from vitrina.errors import ModelFormatError
from vitrina.ranking.regimes import REGIMES

if TYPE_CHECKING:
    from catboost import CatBoost


class Trees(NamedTuple):
    """feature int32 and border float32 (splits,); split_start int64 (trees + 1,) and leaf_start int64 (trees + 1,) cut
    them and leaves float64 by tree; spans int64 (regimes, 2): the first tree of each regime and the one after its last,
    scale_bias float64 (regimes, 2): what its sum is multiplied by and what is added. A missing value answers every
    question with no.
    """

    feature: npt.NDArray[np.int32]
    border: npt.NDArray[np.float32]
    split_start: npt.NDArray[np.int64]
    leaves: npt.NDArray[np.float64]
    leaf_start: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]
    scale_bias: npt.NDArray[np.float64]


TOGETHER: Final = 4
"""Trees whose leaves are found before any of them is added."""

_FEW: Final = 2
"""Rows that are scored one by one."""

DEEPEST: Final = 8
"""Questions of a tree at most: the number of a leaf is kept in one byte."""

NO_TREES: Final = Trees(
    feature=np.empty(0, np.int32),
    border=np.empty(0, np.float32),
    split_start=np.zeros(1, np.int64),
    leaves=np.empty(0, np.float64),
    leaf_start=np.zeros(1, np.int64),
    spans=np.zeros((len(REGIMES), 2), np.int64),
    scale_bias=np.tile([1.0, 0.0], (len(REGIMES), 1)),
)
"""A model without a ranker."""


def trees_of(model: CatBoost, folder: Path) -> Trees:
    """Reads the trees through CatBoost's JSON export, written to `folder`, for every regime alike. `ModelFormatError`
    for other than float splits, and for trees deeper than `DEEPEST`."""
    path = folder / "trees.json"
    model.save_model(str(path), format="json")
    document = json.loads(path.read_text())
    path.unlink()
    treatments = {
        f["flat_feature_index"]: f.get("nan_value_treatment", "AsIs")
        for f in document["features_info"]["float_features"]
    }
    if any(treatment == "AsTrue" for treatment in treatments.values()):
        raise ModelFormatError("a tree treats missing values as large. Train with nan_mode='Min'")
    positions = {f["feature_index"]: f["flat_feature_index"] for f in document["features_info"]["float_features"]}
    features, borders, leaves = [], [], []
    split_start, leaf_start = [0], [0]
    for tree in document["oblivious_trees"]:
        if len(tree["splits"] or []) > DEEPEST:
            raise ModelFormatError(f"a tree is deeper than {DEEPEST}. Train with depth={DEEPEST} at most")
        for split in tree["splits"] or []:
            if split["split_type"] != "FloatFeature":
                raise ModelFormatError(
                    f"a tree splits on {split['split_type']}. Only float features are evaluated here"
                )
            features.append(positions[split["float_feature_index"]])
            borders.append(split["border"])
        leaves.extend(tree["leaf_values"])
        split_start.append(len(features))
        leaf_start.append(len(leaves))
    scale, bias = document["scale_and_bias"]
    return Trees(
        feature=np.array(features, np.int32),
        border=np.array(borders, np.float32),
        split_start=np.array(split_start, np.int64),
        leaves=np.array(leaves, np.float64),
        leaf_start=np.array(leaf_start, np.int64),
        spans=np.tile(np.array([0, len(split_start) - 1], np.int64), (len(REGIMES), 1)),
        scale_bias=np.tile(np.array([scale, bias[0]], np.float64), (len(REGIMES), 1)),
    )


class Boosting(Protocol):
    """The hyper-parameters that every ranker of ours has, in CatBoost's meaning."""

    @property
    def iterations(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def depth(self) -> int: ...
    @property
    def border_count(self) -> int: ...
    @property
    def seed(self) -> int: ...


def catboost_settings(spec: Boosting, *, threads: int) -> dict[str, Any]:
    """CatBoost's parameters for these hyper-parameters; it is silent, and a missing value is the least."""
    return {
        "iterations": spec.iterations,
        "learning_rate": spec.learning_rate,
        "depth": spec.depth,
        "border_count": spec.border_count,
        "random_seed": spec.seed,
        "thread_count": threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
        "nan_mode": "Min",
    }


def exported(model: CatBoost) -> tuple[Trees, bytes]:
    """What serves and what is kept for everybody else: the trees, see `trees_of`, and CatBoost's own file, `.cbm`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        model.save_model(str(path))
        return trees_of(model, Path(folder)), path.read_bytes()


def joined(parts: Sequence[Trees]) -> Trees:
    """One forest: what it scores under the number i (a regime, when the parts are in the order of `REGIMES`) is what
    parts[i] scores."""
    splits = np.cumsum([0, *(len(part.feature) for part in parts)])
    leaves = np.cumsum([0, *(len(part.leaves) for part in parts)])
    trees = np.cumsum([0, *(len(part.split_start) - 1 for part in parts)])
    return Trees(
        feature=np.concatenate([part.feature for part in parts]),
        border=np.concatenate([part.border for part in parts]),
        split_start=np.concatenate([[0], *(p.split_start[1:] + a for p, a in zip(parts, splits, strict=False))]),
        leaves=np.concatenate([part.leaves for part in parts]),
        leaf_start=np.concatenate([[0], *(p.leaf_start[1:] + a for p, a in zip(parts, leaves, strict=False))]),
        spans=np.stack([part.spans[0] + first for part, first in zip(parts, trees, strict=False)]),
        scale_bias=np.stack([part.scale_bias[0] for part in parts]),
    )


@numba.njit(cache=True, nogil=True)
def score_columns(trees, regime, columns, count, leaf, out):  # type: ignore[no-untyped-def]  # compiled
    """Raw CatBoost scores of columns[:, :count] float32 (features, room) in a regime into out[:count] float64.

    Scratch: leaf uint8 (TOGETHER, room), where room is best a multiple of 64. The inner loops run over the rows, side
    by side in memory, so that the processor answers one question for many rows at once; the leaves of `TOGETHER` trees
    are added in one go, in the order of the trees, as CatBoost adds them.
    """
    leaf_start, leaves = trees.leaf_start, trees.leaves
    room = min((count + 63) // 64 * 64, columns.shape[1])
    begin, end = trees.spans[regime]
    scale, bias = trees.scale_bias[regime]
    for r in range(count):
        out[r] = 0.0
    if count <= _FEW:
        for r in range(count):
            out[r] = scale * _score_one(trees, begin, end, columns, r) + bias
        return
    whole = begin + (end - begin) // TOGETHER * TOGETHER
    for t in range(begin, whole, TOGETHER):
        for other in range(TOGETHER):
            _find_leaves(trees, t + other, columns, room, leaf[other])
        first, second = leaves[leaf_start[t] :], leaves[leaf_start[t + 1] :]
        third, fourth = leaves[leaf_start[t + 2] :], leaves[leaf_start[t + 3] :]
        for r in range(count):
            out[r] = (((out[r] + first[leaf[0, r]]) + second[leaf[1, r]]) + third[leaf[2, r]]) + fourth[leaf[3, r]]
    for t in range(whole, end):
        _find_leaves(trees, t, columns, room, leaf[0])
        own = leaves[leaf_start[t] :]
        for r in range(count):
            out[r] += own[leaf[0, r]]
    for r in range(count):
        out[r] = scale * out[r] + bias


@numba.njit(cache=True, nogil=True)
def _score_one(trees, begin, end, columns, row):  # type: ignore[no-untyped-def]  # compiled
    """The sum of the leaves of one row, which has no other rows to be answered with."""
    total = 0.0
    for t in range(begin, end):
        leaf = 0
        first = trees.split_start[t]
        for level in range(trees.split_start[t + 1] - first):
            answer = columns[trees.feature[first + level], row] > trees.border[first + level]
            leaf |= answer << level
        total += trees.leaves[trees.leaf_start[t] + leaf]
    return total


@numba.njit(cache=True, nogil=True)
def _find_leaves(trees, tree, columns, room, leaf):  # type: ignore[no-untyped-def]  # compiled
    first = trees.split_start[tree]
    leaf[:room] = 0
    for level in range(trees.split_start[tree + 1] - first):
        border, column = trees.border[first + level], columns[trees.feature[first + level]]
        bit = np.uint8(1 << level)
        for r in range(room):
            leaf[r] |= bit if column[r] > border else np.uint8(0)
