"""Generated sales: invoices of any number in the columns of Online Retail, by laws that are known.

`BasketSpec` goes in; `generate_baskets` writes baskets.csv and beside it oracle.npz and oracle.json, which
`BasketWorld.load` reads. The world tells the true chance of each product, given a cart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import ConfigError, DataError
from vitrina.events.publish import published
from vitrina.events.schema import DAY_MS
from vitrina.events.synthetic_baskets.draws import draw_week, weeks_of
from vitrina.events.synthetic_baskets.files import SALES_FILE, Names, SalesWriter
from vitrina.events.synthetic_baskets.laws import ALONE, SIZE_SHARES, SIZES, Floats, Laws, Places, Week, draw_laws
from vitrina.events.synthetic_baskets.spec import BasketSpec

__all__ = ["SALES_FILE", "BasketSpec", "BasketWorld", "generate_baskets"]

_SCHEMA = 1
_ORACLE = "oracle.json"


@dataclass(frozen=True, eq=False)
class BasketWorld:
    """A generated shop without its sales. Products and customers are named as in its file."""

    spec: BasketSpec
    laws: Laws

    @property
    def names(self) -> Names:
        """Codes, descriptions and customers' numbers."""
        return Names(self.spec)

    def companions(self) -> list[tuple[str, str]]:
        """(code, code of the companion that it brings along), for each product that has one."""
        codes = self.names.codes
        return [(codes[leader], codes[place]) for place, leader in enumerate(self.laws.leader) if leader != ALONE]

    def probabilities(self, cart: Sequence[str], ts: int, customer: str | None = None) -> Floats:
        """(products,) true chance that a basket which holds the `cart` (codes) also holds each product, 0 for the
        cart's own; products as in `names.codes`.

        `customer` None: of people without a number. `ts` (ms) tells the week. `ConfigError` for a code, a customer or a
        time that the world does not have, and for a cart that nobody can have in that week.
        """
        codes = {code: place for place, code in enumerate(self.names.codes)}
        if unknown := [code for code in cart if code not in codes]:
            raise ConfigError(f"{unknown[0]} is not sold in this world")
        week = (ts // DAY_MS - self.spec.start) // 7
        if not 0 <= week < weeks_of(self.spec):
            raise ConfigError(f"ts={ts} is outside the {self.spec.days} days of this world")
        taken = np.zeros(len(codes), dtype=bool)
        taken[[codes[code] for code in cart]] = True
        now = self.laws.of_week(int(week), weeks_of(self.spec))
        log_weights, rates = self._classes(now, self._place(customer))
        return _given(taken, log_weights, rates, np.where(now.sold, self.laws.brings, 0.0), self.laws.leader)

    def _place(self, customer: str | None) -> int | None:
        if customer is None:
            return None
        found = {number: place for place, number in enumerate(self.names.customers)}
        if customer not in found:
            raise ConfigError(f"customer {customer} is not of this world")
        return found[customer]

    def _classes(self, now: Week, customer: int | None) -> tuple[Floats, Floats]:
        """Log shares (classes,) of each mission and size, and rates (classes, products) given these."""
        shares, habits = now.shares, np.zeros(self.laws.products)
        if customer is not None:
            own = np.bincount(self.laws.favourite[customer], minlength=len(shares)) / 2
            shares = (1 - self.laws.loyal) * shares + self.laws.loyal * own
            np.add.at(habits, self.laws.habits[customer], self.laws.habit)
        rates = (SIZES[:, None, None] * now.rates + habits * now.sold).reshape(-1, self.laws.products)
        with np.errstate(divide="ignore"):
            return np.log(SIZE_SHARES[:, None] * shares).reshape(-1), rates

    def save(self, folder: Path) -> None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in self.laws._asdict().items()}
        np.savez(folder / "oracle.npz", **arrays)
        text = json.dumps({"schema": _SCHEMA, "spec": asdict(self.spec)}, indent=2)
        (folder / _ORACLE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BasketWorld:
        """The world that `generate_baskets` left in the folder; `DataError` when it is missing or of another
        version."""
        remedy = "Generate the baskets again."
        try:
            meta = json.loads((folder / _ORACLE).read_text(encoding="utf-8"))
            if meta["schema"] != _SCHEMA:
                raise DataError(
                    f"schema {meta['schema']}, expected {_SCHEMA}", where=str(folder / _ORACLE), remedy=remedy
                )
            with np.load(folder / "oracle.npz") as stored:
                fields: dict[str, Any] = {name: stored[name] for name in Laws._fields}
            numbers = {name: float(fields[name]) for name in ("season", "brings", "habit", "loyal")}
            return cls(BasketSpec(**meta["spec"]), Laws(**{**fields, **numbers}))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"no oracle ({error})", where=str(folder), remedy=remedy) from error


def generate_baskets(spec: BasketSpec, out: Path, progress: Callable[[int], None] | None = None) -> BasketWorld:
    """Writes the sales into the folder `out`, whole or not at all, and returns their world.

    `progress` gets the number of baskets written so far. The same spec gives the same bytes; memory holds a week.
    Raises `ConfigError` when `out` holds something else.
    """
    world = BasketWorld(spec, draw_laws(spec))
    tell = progress or (lambda baskets: None)
    days = np.random.default_rng([spec.seed, 2]).multinomial(spec.baskets, _day_shares(spec))
    with published(out, marker=_ORACLE) as folder:
        with SalesWriter(folder / SALES_FILE, world.names, spec.seed) as writer:
            done = 0
            for week in range(weeks_of(spec)):
                counts = days[7 * week : 7 * week + 7]
                drawn = draw_week(world.laws, week, weeks_of(spec), int(counts.sum()), [spec.seed, 3, week])
                writer.write(drawn, np.repeat(spec.start + 7 * week + np.arange(len(counts)), counts))
                done += int(counts.sum())
                tell(done)
        world.save(folder)
    return world


def _day_shares(spec: BasketSpec) -> Floats:
    """Of all baskets: Saturdays the shop is closed, before Christmas it sells most."""
    day = spec.start + np.arange(spec.days)
    weekday = np.array([1.0, 1.1, 1.1, 1.2, 1.0, 0.0, 0.7])[(day + 3) % 7]
    if not weekday.any():
        weekday = np.ones(spec.days)
    shares = weekday * (1 + 0.5 * spec.drift * np.cos(2 * np.pi * (day % 365.25 - 325) / 365.25))
    return shares / shares.sum()


def _given(taken: npt.NDArray[np.bool_], log_weights: Floats, rates: Floats, brings: Floats, leader: Places) -> Floats:
    """The chances of all products given those that are taken, over all classes (mission, size)."""
    alone = -np.expm1(-rates)  # (classes, products): taken by itself
    follower = np.flatnonzero(leader != ALONE)
    head = leader[follower]
    brought = 1 - (1 - brings[follower]) * (1 - alone[:, follower])  # the companion, when its leader is taken
    both = alone[:, head] * brought
    any_way = both + (1 - alone[:, head]) * alone[:, follower]
    marginal = alone.copy()
    marginal[:, follower] = any_way
    likely = np.where(taken, marginal, 1.0)
    pair = taken[head] & taken[follower]
    likely[:, follower[pair]] = brought[:, pair]  # the leader's own chance is counted with the leader
    with np.errstate(divide="ignore"):
        log_posterior = log_weights + np.log(likely).sum(axis=1)
    if np.isneginf(log_posterior.max()):
        raise ConfigError("nobody can have this cart then: a product of it is not sold in that week")
    posterior = np.exp(log_posterior - log_posterior.max())
    posterior /= posterior.sum()
    chances = marginal
    leads = taken[head]
    chances[:, follower[leads]] = brought[:, leads]
    follows = taken[follower]
    with np.errstate(invalid="ignore"):
        chances[:, head[follows]] = np.nan_to_num(both[:, follows] / any_way[:, follows])
    told: Floats = posterior @ chances
    told[taken] = 0.0
    return told
