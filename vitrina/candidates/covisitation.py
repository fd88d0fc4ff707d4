"""Co-visitation: which items follow which in the same visitor's log, by direction, kinds of event and time between.

One lagged pass over the log feeds every matrix: an event is paired with the next `LAGS` events of the same visitor, so
that the work is linear in the log whatever the longest history is (a self-join would be quadratic in it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np

from vitrina.candidates.neighbours import Neighbours
from vitrina.engine import Engine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.decay import age_days, halved

LAGS = 8


@dataclass(frozen=True, kw_only=True)
class CoVisitation:
    """One matrix. A pair counts when the first event's kind is in `sources`, the second's in `targets`, and at most
    `within_days` lie between; `both_ways` also counts it backwards, for less.

    A pair weighs 1 / (1 + log(lag)), halved every `half_life` days since it happened; a target is damped by its total
    to the power `damping`.
    """

    name: str
    sources: tuple[int, ...] = (VIEW, CART, BUY)
    targets: tuple[int, ...] = (VIEW, CART, BUY)
    within_days: float
    both_ways: bool
    half_life: float = 45.0
    damping: float = 0.3
    keep: int = 30


STOREFRONT_MATRICES: tuple[CoVisitation, ...] = (
    CoVisitation(name="next", within_days=1 / 24, both_ways=False, keep=24),
    CoVisitation(name="session", within_days=1.0, both_ways=True),
    CoVisitation(name="to_cart", targets=(CART, BUY), within_days=14.0, both_ways=False, damping=0.2),
    CoVisitation(name="carts", sources=(CART, BUY), targets=(CART, BUY), within_days=60.0, both_ways=True, damping=0.2),
)

BACKWARD_WEIGHT = 0.7


def fit_covisitation(
    engine: Engine, events: ir.Table, matrices: Sequence[CoVisitation], *, as_of: int, items: int
) -> dict[str, Neighbours]:
    """All matrices from events strictly before `as_of`, in the order of `matrices`."""
    pairs = paired_counts(events, matrices, as_of=as_of)
    found = engine.to_arrow(best_pairs(pairs, matrices))
    place = found.column("matrix").to_numpy()
    source, target = found.column("source").to_numpy(), found.column("target").to_numpy()
    weight = found.column("weight").to_numpy().astype(np.float32)
    fitted = {}
    for number, matrix in enumerate(matrices):
        chosen = place == number
        fitted[matrix.name] = Neighbours.from_pairs(source[chosen], target[chosen], weight[chosen], items=items)
    return fitted


def paired_counts(events: ir.Table, matrices: Sequence[CoVisitation], *, as_of: int) -> ir.Table:
    """Rows (`source`, `target`, one float64 column per matrix): the summed weight of the pairs seen before `as_of`."""
    past = events.filter(events.ts < as_of)
    visitor = ibis.window(group_by=past.user, order_by=[past.ts, past.item, past.kind])
    lagged = []
    for lag in range(1, LAGS + 1):
        step = past.select(
            first=past.item,
            first_kind=past.kind,
            first_ts=past.ts,
            second=past.item.lead(lag).over(visitor),
            second_kind=past.kind.lead(lag).over(visitor),
            second_ts=past.ts.lead(lag).over(visitor),
            nearness=ibis.literal(float(1.0 / (1.0 + np.log(lag)))),
        )
        lagged.append(step.filter(step.second.notnull() & (step.second != step.first)))
    pairs = ibis.union(*lagged, distinct=False)
    widest = max(matrix.within_days for matrix in matrices)
    pairs = pairs.filter(pairs.second_ts - pairs.first_ts <= int(widest * DAY_MS))
    age = age_days(pairs.second_ts, as_of)
    forward, backward = {}, {}
    for matrix in matrices:
        near = (pairs.second_ts - pairs.first_ts) <= int(matrix.within_days * DAY_MS)
        worth = pairs.nearness * halved(age, matrix.half_life)
        typed = near & pairs.first_kind.isin(matrix.sources) & pairs.second_kind.isin(matrix.targets)
        forward[matrix.name] = typed.ifelse(worth, 0.0)
        if matrix.both_ways:
            turned = near & pairs.second_kind.isin(matrix.sources) & pairs.first_kind.isin(matrix.targets)
            backward[matrix.name] = turned.ifelse(worth * BACKWARD_WEIGHT, 0.0)
        else:
            backward[matrix.name] = ibis.literal(0.0)
    directed = ibis.union(
        pairs.select(source=pairs.first, target=pairs.second, **forward),
        pairs.select(source=pairs.second, target=pairs.first, **backward),
        distinct=False,
    )
    return directed.group_by(["source", "target"]).aggregate(
        **{matrix.name: directed[matrix.name].sum() for matrix in matrices}
    )


def best_pairs(pairs: ir.Table, matrices: Sequence[CoVisitation]) -> ir.Table:
    """Rows (`matrix` number, `source`, `target`, `weight`): the damped best targets of each source in each matrix."""
    kept = []
    for number, matrix in enumerate(matrices):
        counted = pairs.select("source", "target", weight=pairs[matrix.name])
        counted = counted.filter(counted.weight > 0)
        drawn = counted.group_by("target").aggregate(total=counted.weight.sum())
        joined = counted.join(drawn, "target")
        damped = joined.mutate(weight=joined.weight / joined.total.pow(matrix.damping))
        order = ibis.window(group_by=damped.source, order_by=[damped.weight.desc(), damped.target])
        ranked = damped.mutate(place=ibis.row_number().over(order))
        best = ranked.filter(ranked.place < matrix.keep)
        kept.append(best.select(matrix=ibis.literal(number, "int8"), source="source", target="target", weight="weight"))
    return ibis.union(*kept, distinct=False)
