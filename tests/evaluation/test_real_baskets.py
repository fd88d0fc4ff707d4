"""Companions on the real Online Retail file: the published protocol gives the figures that were measured before."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.carts import Carts
from vitrina.candidates.co_occurrence import Lift
from vitrina.candidates.ease import EASE
from vitrina.engine import LocalEngine
from vitrina.evaluation.basket_protocol import judge
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import hide_one
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.baskets.splits import BasketSplit


@pytest.mark.slow
def test_known_figures_come_again(data_dir: Path, tmp_path: Path) -> None:
    source = data_dir / "online-retail" / "OnlineRetail.csv.gz"
    if not source.is_file():
        pytest.skip(f"REAL DATA MISSING: no online-retail/OnlineRetail.csv.gz under {data_dir}")
    with LocalEngine(memory_limit="1GB", threads=2) as engine:
        read_baskets(source, tmp_path / "baskets", engine)
    baskets = Baskets.open(tmp_path / "baskets")
    split = BasketSplit.of(baskets)
    carts = Carts.of(baskets.between(None, split.test), threads=2, as_of=split.test)
    cases = hide_one(baskets.between(split.test, split.end), seed=1)
    assert len(cases) == pytest.approx(3_300, rel=0.02)
    known = {PopularDays(): 0.046, Lift(measure="cosine", shrink=0.0, cart_discount=0.0, half_life=None): 0.190}
    known |= {EASE(ridge=50.0, user_discount=0.0): 0.318}
    for source_of, expected in known.items():
        found = judge(cases, source_of.fit(carts))
        assert found.mean("hr@10") == pytest.approx(expected, abs=0.012)
    assert found.mean("ndcg@10") == pytest.approx(0.194, abs=0.008)
