"""The oracle of a generated panel: its chances come true, it beats popularity only where there is structure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrina.errors import ConfigError, DataError
from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.synthetic_panels.calibration import calibrated
from vitrina.events.synthetic_panels.generator import PanelSpec, PanelWorld, generate_panel
from vitrina.events.synthetic_panels.walk import unpacked

PLACE = {product.code: place for place, product in enumerate(PRODUCTS)}
PAYROLL, SALARY, TAXES = PLACE["ind_cno_fin_ult1"], PLACE["ind_nomina_ult1"], PLACE["ind_reca_fin_ult1"]


@dataclass(frozen=True)
class Lived:
    """A world and the whole truth about it: (customers, months, 24) owned, (customers, months) present."""

    world: PanelWorld
    owned: NDArray[np.bool_]
    present: NDArray[np.bool_]

    @property
    def taken(self) -> NDArray[np.bool_]:
        """(customers, months - 1, 24) acquisitions from each month to the next."""
        return self.owned[:, 1:] & ~self.owned[:, :-1] & self.stays[:, :, None]

    @property
    def stays(self) -> NDArray[np.bool_]:
        """(customers, months - 1) with a row in this month and the next."""
        return self.present[:, 1:] & self.present[:, :-1]

    def asked(self, offset: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Oracle's chances, acquisitions and portfolios (rows, 24) of those that stay at this month."""
        rows = np.flatnonzero(self.stays[:, offset])
        chances = self.world.probabilities(self.world.customers()[rows], self.world.spec.start + offset)
        return chances, self.taken[rows, offset], self.owned[rows, offset]


def lived(spec: PanelSpec) -> Lived:
    world = PanelWorld(spec, calibrated(spec.structure))
    months = np.arange(spec.start, spec.end)
    owned, present = world.portfolios(np.repeat(world.customers(), spec.months), np.tile(months, spec.customers))
    shape = (spec.customers, spec.months)
    return Lived(world, unpacked(owned).reshape(*shape, len(PRODUCTS)), present.reshape(shape))


@pytest.fixture(scope="module")
def full() -> Lived:
    return lived(PanelSpec(customers=16_000, seed=2))


@pytest.fixture(scope="module")
def plain() -> Lived:
    return lived(PanelSpec(customers=16_000, seed=2, structure=0.0))


def average_precision(
    scores: NDArray[np.float64], taken: NDArray[np.bool_], owned: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(rows,) AP@7 over products not owned, 0 for customers that take nothing."""
    top = np.argsort(np.where(owned, np.inf, -scores), axis=1, kind="stable")[:, :7]
    hits = np.take_along_axis(taken, top, axis=1)
    precision = hits.cumsum(axis=1) / np.arange(1, 8)
    return (precision * hits).sum(axis=1) / np.maximum(np.minimum(taken.sum(axis=1), 7), 1)


def popularities(one: Lived, until: int) -> dict[str, NDArray[np.float64]]:
    """(24,) acquisitions before the month, by all customers and by those that lacked the product."""
    taken = one.taken[:, :until].sum(axis=(0, 1))
    lacked = (~one.owned[:, :until] & one.stays[:, :until, None]).sum(axis=(0, 1))
    return {"counts": taken.astype(float), "rate of those without": taken / lacked}


# The chances come true


@pytest.mark.parametrize("structure", [1.0, 0.0])
def test_products_are_taken_as_often_as_foretold(structure: float, full: Lived, plain: Lived) -> None:
    one = full if structure else plain
    for offset in (0, 4, 9, 15):
        chances, taken, owned = one.asked(offset)
        assert (chances[owned] == 0).all()
        assert ((chances > 0) & (chances < 1))[~owned].all()
        spread = np.sqrt((chances * (1 - chances)).sum(axis=0))
        off = np.abs(taken.sum(axis=0) - chances.sum(axis=0))
        assert (off < 4 * spread + 1).all(), (offset, off / spread)


def test_every_height_of_chance_comes_true(full: Lived) -> None:
    asked = [full.asked(offset) for offset in (5, 10, 15)]
    chances, taken = (np.concatenate([one[part].ravel() for one in asked]) for part in (0, 1))
    assert chances.max() > 0.4
    edges = [1e-6, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.4, 1.0]
    for low, high in pairwise(edges):
        inside = (chances >= low) & (chances < high)
        told = chances[inside]
        sigma = np.sqrt((told * (1 - told)).sum())
        assert taken[inside].sum() == pytest.approx(told.sum(), abs=5 * sigma + 1), (low, high)


# Structure


def test_the_oracle_beats_popularity_where_there_is_structure(full: Lived) -> None:
    chances, taken, owned = full.asked(15)
    oracle = average_precision(chances, taken, owned)
    assert 0.75 < oracle.sum() / taken.any(axis=1).sum() < 0.97  # what the best published models reach
    for name, popular in popularities(full, 15).items():
        list_of_all = average_precision(np.broadcast_to(popular, chances.shape), taken, owned)
        gain = oracle - list_of_all
        assert oracle.mean() > 1.12 * list_of_all.mean(), name
        assert gain.mean() > 6 * gain.std() / np.sqrt(len(gain)), name


def test_without_structure_popularity_is_all_there_is(plain: Lived) -> None:
    chances, taken, owned = plain.asked(15)
    np.testing.assert_array_equal(np.ptp(np.where(owned, np.nan, chances), axis=0)[~owned.any(axis=0)], 0.0)
    for product in range(len(PRODUCTS)):
        assert len(np.unique(chances[~owned[:, product], product])) == 1
    oracle = average_precision(chances, taken, owned)
    for name, popular in popularities(plain, 15).items():
        gain = oracle - average_precision(np.broadcast_to(popular, chances.shape), taken, owned)
        assert abs(gain.mean()) < 2.5 * gain.std() / np.sqrt(len(gain)) + 1e-12, name
    assert len({tuple(np.unique(plain.asked(offset)[0])) for offset in (0, 4, 15)}) == 1  # no season either


def against_others(one: Lived, among: NDArray[np.bool_], month: int) -> float:
    """How many times as often products in `among` (customers, months, 24) are taken as the same products elsewhere."""
    taken, free = one.taken[:, month:], ~one.owned[:, month:-1] & one.stays[:, month:, None]
    inside = among & free
    weight = inside.sum(axis=(0, 1))
    others = (taken & ~inside).sum(axis=(0, 1)) / (free & ~inside).sum(axis=(0, 1))
    return float((taken & inside).sum() / (others @ weight))


def returns(one: Lived, ago: int) -> float:
    """Share of products lost `ago` months ago, and lacked since, that are taken again: counted from month 13 on."""
    owned, last = one.owned, one.owned.shape[1] - 1
    taken = lost = 0
    for month in range(13, last):
        gone = owned[:, month - ago] & ~owned[:, month - ago + 1 : month + 1].any(axis=1)
        gone &= one.stays[:, month, None]
        taken, lost = taken + int((one.taken[:, month] & gone).sum()), lost + int(gone.sum())
    return taken / lost


def test_products_dropped_lately_come_back(full: Lived, plain: Lived) -> None:
    ago = {months: returns(full, months) for months in (1, 2, 3, 4, 6)}
    assert ago[1] > 1.3 * ago[2] > 1.3 * 1.3 * ago[3]
    assert ago[3] > 5 * ago[4]
    assert ago[4] == pytest.approx(ago[6], rel=0.5)  # by then it is as if the product had never been there
    assert returns(plain, 1) == pytest.approx(returns(plain, 4), rel=0.3)


@pytest.mark.parametrize(("structure", "low", "high"), [(1.0, 1.4, 15), (0.0, 0.5, 1.5)])
def test_products_held_a_year_ago_come_back(
    structure: float, low: float, high: float, full: Lived, plain: Lived
) -> None:
    one = full if structure else plain
    back, lost = np.zeros(2), np.zeros(2)
    for month in range(12, one.owned.shape[1] - 1):
        gone = one.owned[:, month - 11 : month - 3].any(axis=1) & ~one.owned[:, month - 3 : month + 1].any(axis=1)
        gone &= (one.stays[:, month] & one.present[:, month - 12])[:, None]
        year_ago = one.owned[:, month - 12]
        for held, among in enumerate((gone & ~year_ago, gone & year_ago)):
            back[held] += (one.taken[:, month] & among).sum()
            lost[held] += among.sum()
    not_held, held = back / lost
    assert low < held / not_held < high


@pytest.mark.parametrize(("structure", "low", "high"), [(1.0, 5, 100), (0.0, 0.8, 1.25)])
def test_a_payroll_account_leads_to_a_salary(
    structure: float, low: float, high: float, full: Lived, plain: Lived
) -> None:
    one = full if structure else plain
    among = np.zeros_like(one.taken)
    among[:, :, SALARY] = one.owned[:, :-1, PAYROLL]
    assert low < against_others(one, among, 0) < high


@pytest.mark.parametrize(("structure", "low", "high"), [(1.0, 3, 15), (0.0, 0.4, 1.8)])
def test_taxes_are_paid_in_june(structure: float, low: float, high: float, full: Lived, plain: Lived) -> None:
    one = full if structure else plain
    by_month = one.taken[:, :, TAXES].sum(axis=0) / one.stays.sum(axis=0)  # the month before the acquisition
    assert low < by_month[4] / np.delete(by_month, 4).mean() < high


# The same answer, whoever asks


def test_one_customer_is_told_the_same_as_all(full: Lived) -> None:
    world, rows = full.world, np.flatnonzero(full.present.all(axis=1))[[3, 50, 1_000]]
    numbers, months = world.customers()[rows], world.spec.start + np.array([7, 0, 15])
    together = world.probabilities(numbers, months)
    for place, (number, month) in enumerate(zip(numbers, months, strict=True)):
        np.testing.assert_array_equal(world.probabilities(number, month)[0], together[place])
    np.testing.assert_array_equal(world.probabilities(numbers[::-1], months[::-1]), together[::-1])


def test_a_loaded_world_answers_as_the_generated_one(tmp_path: Path) -> None:
    made = generate_panel(PanelSpec(customers=200, seed=4), tmp_path)
    loaded = PanelWorld.load(tmp_path)
    assert loaded.spec == made.spec
    stay = made.portfolios(made.customers(), made.spec.start)[1]
    some = made.customers()[stay]
    np.testing.assert_array_equal(
        loaded.probabilities(some, made.spec.start), made.probabilities(some, made.spec.start)
    )


def test_the_oracle_refuses_what_the_panel_lacks(full: Lived, tmp_path: Path) -> None:
    world = full.world
    late = world.customers()[~full.present[:, 0]][0]
    with pytest.raises(ConfigError, match="has no row in 2015-01"):
        world.probabilities(late, world.spec.start)
    with pytest.raises(ConfigError, match="customer 7 is not"):
        world.probabilities([world.customers()[0], 7], world.spec.start)
    with pytest.raises(ConfigError, match="give 2015-01 to 2016-05"):
        world.probabilities(world.customers()[:1], 201_605)
    with pytest.raises(DataError, match="Generate the panel again"):
        PanelWorld.load(tmp_path)
    (tmp_path / "oracle.json").write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(DataError, match="schema 0"):
        PanelWorld.load(tmp_path)
