"""What is known of a customer's past at a row of a bank's panel: portfolios some months back, and their changes.

The same loop serves training rows of a `Panel` and the history rows that a client sends with a request.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.errors import RequestError
from vitrina.events.panels.columns import ALL_KNOWN, PRODUCTS, month_text
from vitrina.events.panels.panel import Panel

LAGS: Final = (1, 2, 3, 4, 5, 6, 12)
"""Months back of the portfolios kept."""
NEVER: Final = 255
"""`since` of a product that was not seen to change."""

_NEAR: Final = 6
_BITS: Final = np.arange(len(PRODUCTS), dtype=np.uint32)
Masks = npt.NDArray[np.uint32]


class PanelHistory(NamedTuple):
    """Rows at their own month and before it.

    month int32, owned and known uint32 (rows,) are the rows themselves. lag_owned, lag_known uint32 and present bool
    (rows, 7): portfolios of the months in LAGS, what is known of them, and whether the customer has a row there at all.
    since uint8 (rows, 24): months from the last change of a product up to the row, 0 when it changed in the row's own
    month, NEVER without one; changes uint8 (rows, 24): how many were seen, of known values alone; seen int16 (rows,):
    rows of the customer up to and with this one.
    """

    month: npt.NDArray[np.int32]
    owned: Masks
    known: Masks
    lag_owned: Masks
    lag_known: Masks
    present: npt.NDArray[np.bool_]
    since: npt.NDArray[np.uint8]
    changes: npt.NDArray[np.uint8]
    seen: npt.NDArray[np.int16]

    def take(self, rows: npt.NDArray[np.int64]) -> PanelHistory:
        """Some of the rows."""
        return PanelHistory._make(array[rows] for array in self)


def history_lags(panel: Panel, rows: npt.NDArray[np.int64]) -> PanelHistory:
    """The history at `rows` of the panel int64 (n,), in any order. Nothing after a row's month is looked at."""
    begin = panel.indptr[np.searchsorted(panel.indptr, rows, side="right") - 1]
    return _history(panel.month, panel.owned, panel.known, begin, rows)


def client_lags(
    month: int,
    owned: int,
    history: npt.NDArray[np.int32] | None = None,
    portfolios: Masks | None = None,
    *,
    known: int = ALL_KNOWN,
    portfolios_known: Masks | None = None,
) -> PanelHistory:
    """The history (one row) of a client that owns `owned` in `month`.

    `history` int32 (n,) are earlier months in any order, `portfolios` uint32 (n,) what was owned in them.
    `RequestError` when a month is not before `month`, or is there twice.
    """
    months = np.asarray([] if history is None else history, dtype=np.int32)
    masks = np.asarray([] if portfolios is None else portfolios, dtype=np.uint32)
    seen = np.full(len(masks), ALL_KNOWN, np.uint32) if portfolios_known is None else portfolios_known
    order = np.argsort(months)
    wrong = (
        ("is there twice", "Send each earlier month once", months[order][1:][months[order][1:] == months[order][:-1]]),
        (
            f"is not before the client's month, {month_text(month)}",
            "Leave it out, or correct fetch_date",
            months[months >= month],
        ),
    )
    for problem, remedy, found in wrong:
        if len(found):
            raise RequestError(f"{month_text(int(found[0]))} {problem}", field="history", remedy=remedy)
    return _history(
        np.append(months[order], np.int32(month)),
        np.append(masks[order], np.uint32(owned)) & np.append(seen[order], np.uint32(known)),
        np.append(seen[order], np.uint32(known)),
        np.zeros(1, dtype=np.int64),
        np.array([len(months)], dtype=np.int64),
    )


def product_matrix(masks: Masks) -> npt.NDArray[np.bool_]:
    """bool (rows, 24) of masks (rows,): whether bit p is set."""
    return ((masks[:, None] >> _BITS) & 1).astype(bool)


def product_rows(masks: Masks, product: int) -> npt.NDArray[np.int64]:
    """Places in masks (rows,) at which the product's bit is set, ascending."""
    return np.flatnonzero(masks & np.uint32(1 << product))


def product_counts(masks: Masks) -> npt.NDArray[np.int64]:
    """int64 (24,) in how many of the masks (rows,) each bit is set."""
    return np.array([np.count_nonzero(masks & np.uint32(1 << product)) for product in range(len(PRODUCTS))], np.int64)


def _history(
    month: npt.NDArray[np.int32],
    owned: Masks,
    known: Masks,
    begin: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> PanelHistory:
    n = len(rows)
    found = PanelHistory(
        month=month[rows],
        owned=owned[rows],
        known=known[rows],
        lag_owned=np.zeros((n, len(LAGS)), np.uint32),
        lag_known=np.zeros((n, len(LAGS)), np.uint32),
        present=np.zeros((n, len(LAGS)), np.bool_),
        since=np.full((n, len(PRODUCTS)), NEVER, np.uint8),
        changes=np.zeros((n, len(PRODUCTS)), np.uint8),
        seen=(rows - begin + 1).astype(np.int16),
    )
    _fill(month, owned, known, begin, rows, found)
    return found


@numba.njit(cache=True, nogil=True)
def _fill(month, owned, known, begin, rows, found):  # type: ignore[no-untyped-def]  # compiled
    for r in range(len(rows)):
        now = month[rows[r]]
        had, told = np.int64(0), np.int64(0)  # the last known value of each product, and whether there is one
        for i in range(begin[r], rows[r] + 1):
            back = now - month[i]
            slot = back - 1 if 1 <= back <= _NEAR else (len(LAGS) - 1 if back == LAGS[-1] else -1)
            if slot >= 0:
                found.lag_owned[r, slot] = owned[i]
                found.lag_known[r, slot] = known[i]
                found.present[r, slot] = True
            holds, knows = np.int64(owned[i]), np.int64(known[i])
            flipped = (holds ^ had) & knows & told
            product = 0
            while flipped:
                if flipped & 1:
                    found.since[r, product] = min(back, NEVER - 1)
                    found.changes[r, product] = min(found.changes[r, product] + 1, 255)
                flipped >>= 1
                product += 1
            had = (holds & knows) | (had & ~knows)
            told |= knows
