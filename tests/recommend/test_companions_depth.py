"""Confidence comes true far down an answer, where products are rare, whatever the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vitrina.candidates.ease import EASE
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, empty, growing
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_fit import fit_item_item
from vitrina.recommend.companions_model import FILLED, CompanionsModel

THEMES, ITEMS, LOG = 8, 200, 4_000
PLACES = ((0, 10), (10, 20), (20, 50), (50, 100))


def carts(seed: int, many: int) -> list[list[int]]:
    """Baskets of a theme's own product and of others, each the rarer the further down it stands in that theme."""
    random, order = np.random.default_rng(seed), np.random.default_rng(0)
    place = np.array([order.permutation(ITEMS) for _ in range(THEMES)])
    rows = []
    for theme in random.integers(0, THEMES, many):
        row = np.flatnonzero(random.random(ITEMS) < 0.4 * np.exp(-place[theme] / 15))
        rows.append(sorted({int(theme), *row.tolist()}))
    return rows


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    return baskets_of(carts(1, LOG), items=ITEMS, customer=[place % 40 - 1 for place in range(LOG)])


@pytest.fixture(scope="module")
def later(baskets_of: Callable[..., Baskets]) -> Cases:
    return growing(baskets_of(carts(2, 1_000), items=ITEMS, customer=[place % 40 - 1 for place in range(1_000)]), 5)


@pytest.fixture(scope="module")
def ease(baskets: Baskets) -> CompanionsModel:
    return fit_item_item(EASE(ridge=20.0), baskets, until=LOG)


@pytest.fixture(scope="module")
def blend(baskets: Baskets) -> CompanionsModel:
    return fit_blend(Blend(iterations=60, every=1), baskets, until=LOG, threads=1)


def said_and_came(model: CompanionsModel, cases: Cases, *, told: bool) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and whether it came true, (cases, 100); falling along every answer."""
    said, came = np.zeros((len(cases), 100)), np.zeros((len(cases), 100), bool)
    for case, buyer in enumerate(cases.customer.tolist()):
        seen, hidden = (
            part.indices[part.indptr[case] : part.indptr[case + 1]] for part in (cases.visible, cases.hidden)
        )
        customer = model.customers[buyer] if told and buyer >= 0 else None
        answer = model.companions([model.codes[item] for item in seen], 100, customer=customer)
        assert len(answer.codes) == 100 and list(answer.confidence) == sorted(answer.confidence, reverse=True)
        wanted = {model.codes[item] for item in hidden}
        said[case], came[case] = answer.confidence, [code in wanted for code in answer.codes]
    return said, came


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("kind", ["ease", "blend"])
def test_confidence_comes_true_down_to_the_hundredth_place(
    request: pytest.FixtureRequest, later: Cases, kind: str, told: bool
) -> None:
    said, came = said_and_came(request.getfixturevalue(kind), later, told=told)
    for begin, end in PLACES:
        ours, true = said[:, begin:end].mean(), came[:, begin:end].mean()
        assert ours == pytest.approx(true, rel=0.15, abs=0.002), f"places {begin + 1} to {end}"


@pytest.mark.parametrize("many", [20, 60, 100, 118, 150])
def test_what_is_excluded_takes_no_place_of_what_goes_with_the_cart(blend: CompanionsModel, many: int) -> None:
    """A blend weighs 118 candidates: those that come for excluded ones are companions as well."""
    cart = [blend.codes[0], blend.codes[1]]
    whole = blend.companions(cart, many)
    rest = blend.companions(cart, 20, exclude=whole.codes)
    assert rest.source == "cart" and len(rest.codes) == 20
    assert not {*whole.codes, *cart} & set(rest.codes)
    assert sum(who is not None for who in rest.because) >= 10
    assert list(rest.confidence) == sorted(rest.confidence, reverse=True)


@pytest.fixture(scope="module")
def loyal(baskets_of: Callable[..., Baskets]) -> Baskets:
    """1,000 customers, each with a theme of his own in two of five baskets, and with any in the others."""
    random, order, many = np.random.default_rng(3), np.random.default_rng(0), LOG + 400
    likes = 0.4 * np.exp(-np.array([order.permutation(ITEMS) for _ in range(THEMES)]) / 15)
    theme = np.where(random.random(many) < 0.4, np.arange(many) % THEMES, random.integers(0, THEMES, many))
    rows = [sorted({one, *np.flatnonzero(random.random(ITEMS) < likes[one]).tolist()}) for one in theme.tolist()]
    return baskets_of(rows, items=ITEMS, customer=[place % 1_000 for place in range(many)])


def test_confidence_of_what_a_customer_bought_comes_true_down_to_the_hundredth_place(loyal: Baskets) -> None:
    model = fit_item_item(EASE(ridge=20.0), loyal, until=LOG)
    said, came = said_and_came(model, empty(loyal.between(LOG, None)), told=True)
    assert model.companions([], 1, customer=model.customers[0]).source == "history"
    for begin, end in PLACES:
        ours, true = said[:, begin:end].mean(), came[:, begin:end].mean()
        assert ours == pytest.approx(true, rel=0.15, abs=0.002), f"places {begin + 1} to {end}"


def test_a_customer_is_answered_though_none_came_back_to_learn_from(baskets_of: Callable[..., Baskets]) -> None:
    new = [-1] * 950 + list(range(50))
    model = fit_item_item(EASE(ridge=20.0), baskets_of(carts(1, 1_000), items=ITEMS, customer=new), until=1_000)
    answer, anybody = model.companions([], 100, customer=model.customers[7]), model.companions([], 100)
    assert (answer.source, anybody.source) == ("history", "popular")
    assert answer.confidence == pytest.approx(anybody.confidence, abs=0.01) and anybody.confidence[0] > 0.1


def test_the_first_ten_do_not_depend_on_how_many_are_asked_for(blend: CompanionsModel, ease: CompanionsModel) -> None:
    for model in (blend, ease):
        for cart in ([0], [1, 30], [2, 50, 90, 120]):
            codes = [model.codes[item] for item in cart]
            ten, many = model.companions(codes, 10), model.companions(codes, 100)
            assert ten.codes == many.codes[:10] and ten.confidence == many.confidence[:10]


def test_what_fills_an_answer_up_is_worth_what_popular_products_are(blend: CompanionsModel) -> None:
    """Products stand where the scores of candidates end, and promise no more than the candidates before them."""
    shut = blend.confidence["stranger_further"]
    generous = replace(shut, shares=np.where(shut.scores < FILLED / 2, 1.0, 0.0))
    model = replace(blend, confidence={**blend.confidence, "stranger_further": generous})
    answer = model.companions([blend.codes[0]], 100)
    assert answer.confidence[9] > 0 and set(answer.confidence[10:]) == {0.0}


@pytest.mark.parametrize("kind", ["ease", "blend"])
def test_who_asks_for_fewer_gets_the_first_of_the_same(kind: str, later: Cases, request: pytest.FixtureRequest) -> None:
    model: CompanionsModel = request.getfixturevalue(kind)
    seen = later.visible
    for case in range(300):
        cart = [model.codes[item] for item in seen.indices[seen.indptr[case] : seen.indptr[case + 1]]]
        customer = None if case % 2 else model.customers[case % len(model.customers)]
        ten = model.companions(cart, 10, customer=customer)
        for n in (1, 3):
            few = model.companions(cart, n, customer=customer)
            assert (few.source, few.codes, few.because) == (ten.source, ten.codes[:n], ten.because[:n])
            assert few.confidence == ten.confidence[:n]
