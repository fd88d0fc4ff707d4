"""Held-out carts: what is drawn of many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.cases import growing, half_anonymous


def test_of_too_many_cases_some_are_drawn_in_their_order(baskets_of: Callable[..., Baskets]) -> None:
    cases = growing(baskets_of([[row % 7, 7 + row % 5, 12] for row in range(50)]), seed=3, per_basket=2)
    drawn = cases.at_most(20, seed=1)
    assert len(drawn) == 20 and drawn.visible.shape == drawn.hidden.shape == (20, 13)
    assert (np.diff(drawn.basket) >= 0).all() and len(set(drawn.basket.tolist())) > 10
    whole = (drawn.visible + drawn.hidden).toarray()
    expected = [np.isin(np.arange(13), [row % 7, 7 + row % 5, 12]) for row in drawn.basket]
    assert (whole == np.array(expected)).all()
    assert (cases.at_most(20, seed=1).basket == drawn.basket).all()
    assert cases.at_most(100, seed=1) is cases


def test_every_second_case_becomes_anonymous(baskets_of: Callable[..., Baskets]) -> None:
    cases = half_anonymous(growing(baskets_of([[0, 1]] * 4, customer=[0, 1, 2, 3]), seed=3))
    assert cases.customer.tolist() == [0, NOBODY, 2, NOBODY]
