"""What one thread ranks with: the model's arrays and its own memory, handed to compiled code as one reference.

A call from Python takes its arguments apart, every array of every tuple anew. Over the tables, the trees and the
scratch that costs as much as ranking does; a structure that compiled code owns is passed as it is.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numba import types
from numba.experimental import structref

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import SOURCES, Tables, new_scratch
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.trees import TOGETHER, Trees

CANDIDATES: Final = 120
"""Candidates that are ranked for one visitor."""

ROOM: Final = 128
"""Places of a column of features: the candidates, and up to a multiple of what the processor compares at once."""


@structref.register
class DeskType(types.StructRef):
    """The compiler's name for a `Desk`."""


class Desk(structref.StructRefProxy):
    """Opaque in Python; not shared between threads.

    tables, taste, trees, mode: the model. scratch: retrieval's memory; cand int32 (CANDIDATES,), ranks float32
    (CANDIDATES, sources): candidates; columns float32 (features, ROOM), leaf uint8 and worth float64 (ROOM,): their
    features and scores; order int32 (CANDIDATES,).
    """


_FIELDS: Final = (
    "tables",
    "taste",
    "trees",
    "mode",
    "scratch",
    "cand",
    "ranks",
    "columns",
    "leaf",
    "worth",
    "order",
)
structref.define_proxy(Desk, DeskType, _FIELDS)


@numba.njit(cache=True)
def _furnish(tables, taste, trees, mode, scratch, cand, ranks, columns, leaf, worth, order):  # type: ignore[no-untyped-def]  # compiled
    return Desk(tables, taste, trees, mode, scratch, cand, ranks, columns, leaf, worth, order)


def new_desk(tables: Tables, taste: Taste, trees: Trees, mode: int) -> Desk:
    """A desk for this model; it keeps the model's arrays alive."""
    desk: Desk = _furnish(
        tables,
        taste,
        trees,
        mode,
        new_scratch(tables),
        np.empty(CANDIDATES, np.int32),
        np.empty((CANDIDATES, len(SOURCES)), np.float32),
        np.zeros((len(FEATURES), ROOM), np.float32),
        np.zeros((TOGETHER, ROOM), np.uint8),
        np.empty(ROOM, np.float64),
        np.empty(CANDIDATES, np.int32),
    )
    return desk
