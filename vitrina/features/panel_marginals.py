"""How often each value of a client's columns occurs, column by column, and made-up clients drawn from that.

Nothing of a single customer is kept: values that few rows have are left out, and numbers are rounded quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import MONTH_COLUMN, PRODUCTS, PROFILE, Kind
from vitrina.events.panels.panel import NO_DATE, NO_LEVEL, Panel
from vitrina.features.panel_history import Masks, history_lags, product_counts

FEWEST: Final = 20
"""Rows that a value, or all values of a number's column, must have at least."""
_PERCENTS: Final = np.arange(1, 100)
_MONTH: Final = MONTH_COLUMN[1]
_UNIX: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, kw_only=True)
class ColumnMarginal:
    """`known`: the share of rows with a value. `shares` of each level of a category or flag; `quantiles` of numbers,
    and of dates as days since 1970: 1 % to 99 %, whole when all values are."""

    known: float
    shares: Mapping[str, float] | None = None
    quantiles: tuple[float, ...] | None = None

    def draw(self, kind: Kind, rng: np.random.Generator) -> str | float | None:
        """A value as a request holds it, or None."""
        if rng.random() >= self.known:
            return None
        if self.shares is not None:
            reached = np.cumsum(list(self.shares.values()))
            return list(self.shares)[int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))]
        if not self.quantiles:
            return None
        place = rng.random() * (len(self.quantiles) - 1)
        low = self.quantiles[int(place)]
        value = low + (place - int(place)) * (self.quantiles[int(place) + 1] - low)
        if kind == "date":
            return date.fromordinal(_UNIX + round(value)).strftime("%d-%m-%Y")
        return round(value) if isinstance(low, int) else round(value, 2)


@dataclass(frozen=True, kw_only=True)
class PanelMarginals:
    """`profile` by request name, of the columns that the panel had; `owned`: the share of owners of each product.

    `kept` and `dropped`: of those who own a product, and of those who do not, the share that owned it a month earlier;
    empty when no row has an earlier one. `month` is the newest of the rows.
    """

    profile: Mapping[str, ColumnMarginal]
    owned: tuple[float, ...]
    kept: tuple[float, ...] = ()
    dropped: tuple[float, ...] = ()
    month: int = 2000 * 12

    @classmethod
    def fit(cls, panel: Panel, rows: npt.NDArray[np.int64]) -> Self:
        """From some rows of the panel, int64 (n,)."""
        profile = {}
        for column in PROFILE:
            if column.name in panel.profile:
                values = panel.profile[column.name][rows]
                levels = panel.levels.get(column.name)
                profile[column.name] = _levels(values, levels) if levels is not None else _numbers(values, column.kind)
        past = history_lags(panel, rows)
        told = past.known & past.lag_known[:, 0]  # nothing is known of a month without a row
        before = past.lag_owned[:, 0]
        earlier = bool(past.present[:, 0].any())
        return cls(
            profile=profile,
            owned=_shares(past.owned, past.known),
            kept=_shares(before & past.owned & told, past.owned & told) if earlier else (),
            dropped=_shares(before & ~past.owned & told, ~past.owned & told) if earlier else (),
            month=int(past.month.max(initial=0)),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and text."""
        shares = {"owned": list(self.owned), "kept": list(self.kept), "dropped": list(self.dropped)}
        return {"profile": {name: asdict(one) for name, one in self.profile.items()}, **shares, "month": self.month}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `as_json` wrote."""
        profile = {
            name: ColumnMarginal(
                known=one["known"],
                shares=one["shares"],
                quantiles=None if one["quantiles"] is None else tuple(one["quantiles"]),
            )
            for name, one in document["profile"].items()
        }
        shares = {name: tuple(document[name]) for name in ("owned", "kept", "dropped")}
        return cls(profile=profile, **shares, month=document["month"])

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """The request of a made-up client; each column is drawn alone."""
        client = {
            column.name: self.profile[column.name].draw(column.kind, rng)
            for column in PROFILE
            if column.name in self.profile
        }
        owned = {product.column: int(rng.random() < share) for product, share in zip(PRODUCTS, self.owned, strict=True)}
        return {**client, **owned}

    def draw_with_past(self, rng: np.random.Generator) -> dict[str, Any]:
        """The same with its month and, where the panel had one, the month before: a model that looks at the past says
        little of a client without any."""
        client = {_MONTH: _first_day(self.month), **self.draw(rng)}
        if not self.kept:
            return client
        before = {
            product.column: int(rng.random() < (kept if client[product.column] else dropped))
            for product, kept, dropped in zip(PRODUCTS, self.kept, self.dropped, strict=True)
        }
        return {**client, "history": [{_MONTH: _first_day(self.month - 1), **before}]}


def _levels(codes: npt.NDArray[np.int32], levels: tuple[str, ...]) -> ColumnMarginal:
    counts = np.bincount(codes[codes != NO_LEVEL], minlength=len(levels))
    kept = {level: count for level, count in zip(levels, counts.tolist(), strict=True) if count >= FEWEST}
    rows = max(len(codes), 1)
    return ColumnMarginal(
        known=_share(sum(kept.values()), rows), shares={level: _share(count, rows) for level, count in kept.items()}
    )


def _numbers(values: npt.NDArray[Any], kind: Kind) -> ColumnMarginal:
    known = values[values != NO_DATE] if kind == "date" else values[~np.isnan(values)]
    if len(known) < FEWEST:
        return ColumnMarginal(known=0.0)
    whole = bool((known == np.rint(known)).all())
    quantiles = np.rint(np.percentile(known, _PERCENTS)).tolist()
    return ColumnMarginal(
        known=_share(len(known), len(values)), quantiles=tuple(map(int if whole else float, quantiles))
    )


def _shares(having: Masks, of: Masks) -> tuple[float, ...]:
    """Of each product, how many of the masks `of` that have it are in `having` too."""
    counts = zip(product_counts(having).tolist(), product_counts(of).tolist(), strict=True)
    return tuple(_share(count, max(rows, 1)) for count, rows in counts)


def _first_day(month: int) -> str:
    return date(month // 12, month % 12 + 1, 1).strftime("%d-%m-%Y")


def _share(count: int, rows: int) -> float:
    return round(count / rows, 6)
