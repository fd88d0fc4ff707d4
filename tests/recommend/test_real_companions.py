"""The blend on the sales of Online Retail, from November on: its gain over EASE where the customer is told, how near to
EASE it stays where not, and how true its confidence is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from vitrina.candidates.cart_sources import CART_SOURCES
from vitrina.engine import LocalEngine
from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.cases import Cases
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.baskets.splits import BasketSplit
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_fit import fit_item_item
from vitrina.scenarios.basket_judgement import Questions

NOT_BELOW: Final = (("hr@10", 0.01), ("ndcg@10", 0.006))
"""How far below EASE the blend may be that is not told the customer: it finds as many, in a slightly worse order."""


def untold(cases: Cases) -> Cases:
    return replace(cases, customer=np.full(len(cases), NOBODY, np.int32))


@pytest.mark.slow
def test_the_blend_is_above_ease_and_means_what_it_says(data_dir: Path, tmp_path: Path) -> None:
    sales = data_dir / "online-retail" / "OnlineRetail.csv.gz"
    if not sales.is_file():
        pytest.skip(f"REAL DATA MISSING: no online-retail/OnlineRetail.csv.gz under {data_dir}")
    with LocalEngine(memory_limit="1GB", threads=2) as engine:
        read_baskets(sales, tmp_path / "baskets", engine)
    baskets = Baskets.open(tmp_path / "baskets")
    split = BasketSplit.of(baskets)
    questions = Questions.of(baskets.between(split.test, split.end))
    strangers = replace(
        questions, one=untold(questions.one), half=untold(questions.half), growing=untold(questions.growing)
    )
    model = fit_blend(Blend(), baskets, until=split.test)
    blend, untold_blend = questions.judge(model), strangers.judge(model)
    ease = questions.judge(fit_item_item(CART_SOURCES["ease"], baskets, until=split.test))
    for metric, least in (("hr@10", 0.36), ("ndcg@10", 0.22), ("recall@10", 0.25)):
        assert blend.scores.mean(metric) > least
        assert blend.scores.minus(ease.scores, metric).low > 0.01
    for metric, margin in NOT_BELOW:
        assert untold_blend.scores.mean(metric) >= ease.scores.mean(metric) - margin
    for judged in (blend, untold_blend):
        assert judged.quality()["calibration_error"] <= 0.02
