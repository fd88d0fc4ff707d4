"""Feature rows of (customer, product) pairs of a bank's panel: one compiled loop for training and for the service.

What is missing is NaN: a profile value that is not known, a lag without a row, a product that never changed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_context import YEAR, ProductContext
from vitrina.features.panel_history import LAGS, NEVER, PanelHistory, history_lags
from vitrina.features.panel_profile import PROFILE_NAMES, ProfileEncoding

_NOW: Final = (*PROFILE_NAMES, *(f"owns_{product.column}" for product in PRODUCTS), "owned_count", "target_season")
_PAST: Final = ("months_seen", "taken_last_month", "dropped_last_month", "changes_all", "months_since_any_change")
_PRODUCT: Final = ("product", "product_log_odds", "portfolio_log_odds", "season_lift")
_PRODUCT_PAST: Final = (*(f"lag_{months}" for months in LAGS), "months_since_change", "changes")
PANEL_FEATURES: Final = (*_NOW, *_PAST, *_PRODUCT, *_PRODUCT_PAST)
"""Of the customer (profile, portfolio, season of the target month, its past), then of the product (what the training
months say of it, its own past)."""
HISTORY_FEATURES: Final = (*_PAST, *_PRODUCT_PAST)
"""Those that need earlier months."""

_N, _OWNS = len(PRODUCTS), len(PROFILE_NAMES)
_PAST_AT, _PRODUCT_AT, _LAGS_AT = len(_NOW), len(_NOW + _PAST), len(_NOW + _PAST + _PRODUCT)


class PanelInputs(NamedTuple):
    """Customers at a month: profile float32 (rows, 22) as `ProfileEncoding` gives it, and their past."""

    profile: npt.NDArray[np.float32]
    past: PanelHistory

    def take(self, rows: npt.NDArray[np.int64]) -> PanelInputs:
        """Some of the rows."""
        return PanelInputs(profile=self.profile[rows], past=self.past.take(rows))


def panel_inputs(panel: Panel, rows: npt.NDArray[np.int64], encoding: ProfileEncoding) -> PanelInputs:
    """The inputs at `rows` of the panel, int64 (n,)."""
    return PanelInputs(profile=encoding.encode(panel, rows), past=history_lags(panel, rows))


def pair_features(
    inputs: PanelInputs,
    context: ProductContext,
    rows: npt.NDArray[np.int64],
    products: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Features float32 (pairs, len(PANEL_FEATURES)), feature by feature in memory, of pairs: places in the inputs and
    products, int64 (pairs,) each."""
    columns = np.empty((len(PANEL_FEATURES), len(rows)), np.float32)
    fill_columns(inputs, context, rows, products, columns)
    return columns.T


@numba.njit(cache=True, nogil=True)
def fill_columns(inputs, context, rows, products, columns):  # type: ignore[no-untyped-def]  # compiled
    """Writes the features of `pair_features` into columns[:, : pairs] float32 (features, room)."""
    past, nan = inputs.past, np.float32(np.nan)
    for j in range(len(rows)):
        r, p = rows[j], products[j]
        owned, known = np.int64(past.owned[r]), np.int64(past.known[r])
        season = (past.month[r] + 1) % YEAR
        for f in range(_OWNS):
            columns[f, j] = inputs.profile[r, f]
        odds = context.start[p]
        for o in range(_N):
            has = owned >> o & 1
            columns[_OWNS + o, j] = has if known >> o & 1 else nan
            if has:
                odds += context.owned[o, p]
        columns[_OWNS + _N, j] = _bits(owned)
        columns[_OWNS + _N + 1, j] = season

        both = known & np.int64(past.lag_known[r, 0])
        before = np.int64(past.lag_owned[r, 0])
        columns[_PAST_AT, j] = past.seen[r]
        columns[_PAST_AT + 1, j] = _bits(owned & ~before & both) if past.present[r, 0] else nan
        columns[_PAST_AT + 2, j] = _bits(before & ~owned & both) if past.present[r, 0] else nan
        changes, since = 0, NEVER
        for o in range(_N):
            changes += past.changes[r, o]
            since = min(since, past.since[r, o])
        columns[_PAST_AT + 3, j] = changes if past.seen[r] > 1 else nan
        columns[_PAST_AT + 4, j] = since if since != NEVER else nan

        columns[_PRODUCT_AT, j] = p
        columns[_PRODUCT_AT + 1, j] = context.prior[p]
        columns[_PRODUCT_AT + 2, j] = odds
        columns[_PRODUCT_AT + 3, j] = context.season[season, p]

        for k in range(len(LAGS)):
            told = past.lag_known[r, k] >> p & 1
            columns[_LAGS_AT + k, j] = past.lag_owned[r, k] >> p & 1 if told else nan
        own = past.since[r, p]
        columns[_LAGS_AT + len(LAGS), j] = own if own != NEVER else nan
        columns[_LAGS_AT + len(LAGS) + 1, j] = past.changes[r, p] if past.seen[r] > 1 else nan


@numba.njit(cache=True, nogil=True)
def _bits(mask):  # type: ignore[no-untyped-def]  # compiled
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count
