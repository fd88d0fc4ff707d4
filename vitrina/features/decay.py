"""Exponential decay: how much an event of the past still says at `as_of`."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from vitrina.events.schema import DAY_MS, DEFAULT_WEIGHTS


def age_days(ts: ir.Column, as_of: int) -> ir.Column:
    """Days from `ts` (ms) to `as_of` (ms), float64; never negative for events before `as_of`."""
    return (ibis.literal(as_of, "int64") - ts).cast("float64") / float(DAY_MS)


def halved(days: ir.Column, half_life: float) -> ir.Column:
    """0.5 ** (days / half_life): 1 for an event of this moment, 0.5 after `half_life` days."""
    return (days * (-0.6931471805599453 / half_life)).exp()


def kind_weight(kind: ir.Column, weights: Sequence[float] = DEFAULT_WEIGHTS) -> ir.Column:
    """The weight of an event's kind, float64."""
    view, cart, buy = (float(weight) for weight in weights)
    return ibis.cases((kind == 0, view), (kind == 1, cart), else_=buy)


def interactions(
    events: ir.Table, *, as_of: int, half_life: float, weights: Sequence[float] = DEFAULT_WEIGHTS
) -> ir.Table:
    """One row per (user, item) touched before `as_of`: `weight` = sum of kind weight x decay (half_life in days)."""
    past = events.filter(events.ts < as_of)
    worth = kind_weight(past.kind, weights) * halved(age_days(past.ts, as_of), half_life)
    return past.mutate(worth=worth).group_by(["user", "item"]).aggregate(weight=lambda t: t.worth.sum())
