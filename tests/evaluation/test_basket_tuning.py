"""Tuning of sources: every setting of a stage is tried around the best of the stage before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from vitrina.candidates.cart_sources import CART_SOURCES
from vitrina.candidates.carts import Carts
from vitrina.evaluation.basket_tuning import GRIDS, tune
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, hide_one

ITEMS = 40


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Puts item 0, which is always hidden, at the place |left - 3| + |right - 2| + 1."""

    left: int = 0
    right: int = 0

    def fit(self, carts: Carts) -> Ladder:
        return self

    def scores(self, carts: sp.csr_array) -> npt.NDArray[np.float32]:
        line = np.arange(ITEMS, 0, -1).astype(np.float32)
        line[0] = ITEMS - abs(self.left - 3) - abs(self.right - 2) - 0.5
        return np.tile(line, (carts.shape[0], 1))


@pytest.fixture(scope="module")
def carts(baskets_of: Callable[..., Baskets]) -> Carts:
    return Carts.of(baskets_of([[0, 1], [0, 39]], items=ITEMS), threads=1)


@pytest.fixture(scope="module")
def cases() -> Cases:
    visible, hidden = np.zeros((2, 1, ITEMS), np.float32)
    visible[0, 39] = hidden[0, 0] = 1
    return Cases(
        visible=sp.csr_array(visible),
        hidden=sp.csr_array(hidden),
        customer=np.array([-1], np.int32),
        ts=np.array([0]),
        basket=np.array([0]),
    )


def test_the_best_setting_of_each_stage_leads_to_the_next(carts: Carts, cases: Cases) -> None:
    told: list[str] = []
    found = tune(
        Ladder(), [{"left": (0, 1, 2, 3, 4)}, {"left": (2, 3), "right": (0, 1, 2)}], carts, [cases], told.append
    )
    assert found.best.spec == Ladder(left=3, right=2)
    assert len(found.trials) == 5 + 4  # what was tried already is not tried again
    assert len(told) == len(found.trials)
    assert found.best.as_json() == {"left": 3, "right": 2, "hr@10": 1.0, "ndcg@10": 1.0}
    assert found.best.aim == max(trial.aim for trial in found.trials)


def test_all_draws_count(carts: Carts, baskets_of: Callable[..., Baskets]) -> None:
    baskets = baskets_of([[0, 5, 9, 20]] * 30, items=ITEMS)
    draws = [hide_one(baskets, seed) for seed in (1, 2)]
    alone = [tune(Ladder(), [], carts, [drawn]).best for drawn in draws]
    both = tune(Ladder(), [], carts, draws).best
    assert alone[0].hr != alone[1].hr
    assert both.hr == pytest.approx((alone[0].hr + alone[1].hr) / 2)


def test_every_source_has_a_grid_of_its_own_settings() -> None:
    assert GRIDS.keys() == CART_SOURCES.keys()
    for name, stages in GRIDS.items():
        for stage in stages:
            assert stage.keys() <= vars(CART_SOURCES[name]).keys()
