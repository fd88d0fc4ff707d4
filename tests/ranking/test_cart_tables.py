"""What a moment knows of pairs, products and customers, by baskets made by hand and by formulas written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from vitrina.candidates.carts import Carts, ItemItem
from vitrina.candidates.ease import EASE
from vitrina.candidates.neighbours import Neighbours
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS
from vitrina.ranking import cart_tables as module
from vitrina.ranking.cart_features import DENSE_STEP, PAIRS, PRODUCT, CartTables
from vitrina.ranking.cart_past import bought_before, popular_share, product_columns
from vitrina.ranking.cart_tables import HALF_LIFE, LIFT_SHRINK, SHRINK, cart_tables

BasketsOf = Callable[..., Baskets]
NOW = 1_000 * DAY_MS
DAYS_AGO = [120, 120, 60, 20, 3, 0]
ROWS = [[0, 1], [0, 1, 2], [0, 2, 3], [0, 1], [3], [4, 5]]


@pytest.fixture(scope="module")
def baskets(baskets_of: BasketsOf) -> Baskets:
    """The last one happens at NOW, which is not before it."""
    made = baskets_of(ROWS, items=6, ts=[NOW - days * DAY_MS for days in DAYS_AGO], customer=[0, 1, 0, -1, 0, 1])
    names = ("RED CUP", "BLUE CUP", "LAMP", "RED LAMP", "CUP", "")
    return replace(made, descriptions=names, codes=("20000", "20000B", "20030", "LAMP", "20004", "9"))


@pytest.fixture(scope="module")
def tables(baskets: Baskets) -> CartTables:
    carts = Carts.of(baskets.between(None, NOW), threads=1, as_of=NOW)
    return cart_tables(baskets, NOW, EASE(ridge=1.0).fit(carts))


def value(tables: CartTables, name: str, source: int, target: int) -> float:
    span = slice(tables.starts[source], tables.starts[source + 1])
    place = np.flatnonzero(tables.targets[span] == target)
    return float(tables.values[PAIRS.index(name), span][place[0]]) if len(place) else 0.0


def test_pairs_hold_what_the_formulas_say(tables: CartTables) -> None:
    decay = np.exp2(-np.array(DAYS_AGO[:4]) / HALF_LIFE)
    held = np.array([[item in row for item in range(6)] for row in ROWS[:4]], float)
    sizes = held.sum(axis=1)
    shared, light = (held.T @ (weight[:, None] * held) for weight in (decay, decay / sizes))
    own = np.diag(shared)
    expected = own[0] * own[1] / decay.sum()
    assert value(tables, "confidence", 0, 1) == pytest.approx(shared[0, 1] / (own[0] + SHRINK))
    assert value(tables, "cosine", 0, 1) == pytest.approx(light[0, 1] / np.sqrt(light[0, 0] * light[1, 1]), rel=1e-5)
    assert value(tables, "lift", 0, 1) == pytest.approx(
        np.log((shared[0, 1] + LIFT_SHRINK) / (expected + LIFT_SHRINK)), rel=1e-5
    )
    assert value(tables, "ease", 0, 1) > 0


def test_all_that_ease_says_is_kept_of_a_small_catalogue_alone(
    baskets: Baskets, tables: CartTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = EASE(ridge=1.0).fit(Carts.of(baskets.between(None, NOW), threads=1, as_of=NOW))
    said = fitted.scores(sp.eye_array(6, dtype=np.float32, format="csr"))
    np.fill_diagonal(said, 0.0)
    np.testing.assert_allclose(tables.dense * DENSE_STEP, said, atol=DENSE_STEP / 2 + 1e-7)
    assert (tables.dense < 0).any(), "some speak against each other"
    monkeypatch.setattr(module, "MOST_DENSE", 5)
    assert cart_tables(baskets, NOW, fitted).dense.size == 0


def test_likeness_is_of_rare_words_more_than_of_common_ones(tables: CartTables) -> None:
    assert value(tables, "likeness", 2, 3) > value(tables, "likeness", 0, 3) > 0
    assert value(tables, "likeness", 0, 2) == 0


def test_no_product_is_linked_to_itself_nor_to_what_was_never_near(tables: CartTables) -> None:
    for source in range(6):
        assert source not in tables.targets[tables.starts[source] : tables.starts[source + 1]]
    assert tables.starts[6] == tables.starts[5], "what nobody took and nobody described has no links"


def test_codes_are_numbers_where_they_begin_with_one(tables: CartTables) -> None:
    assert tables.numbers.tolist() == [20000, 20000, 20030, -1, 20004, 9]


def test_products_are_described_as_of_the_moment(baskets: Baskets) -> None:
    columns = dict(zip(PRODUCT, product_columns(baskets, NOW), strict=True))
    assert columns["age"][:4].tolist() == [120, 120, 120, 60]
    assert columns["unsold"][:5].tolist() == [20, 20, 60, 3, 1000]
    assert columns["company"][3] == pytest.approx((1 / 3 + 1) / 2)
    assert columns["share_7"][:4].tolist() == pytest.approx([0.8, 0.6, 0.4, 0.4]), "of at least twenty baskets"


def test_what_is_popular_looks_back_so_many_days(baskets_of: BasketsOf) -> None:
    rows = [[0]] * 30 + [[1]] * 30
    days = [*range(60, 30, -1), *range(30, 0, -1)]
    log = baskets_of(rows, items=2, ts=[NOW - day * DAY_MS for day in days])
    assert popular_share(log, NOW, 30.0).tolist() == [0, 1]
    assert popular_share(log, NOW, 1_000.0).tolist() == [0.5, 0.5]
    assert popular_share(log, NOW - 40 * DAY_MS).tolist() == [1, 0]
    assert popular_share(log, 0).tolist() == [0, 0]


def test_purchases_are_counted_by_customer_and_a_stranger_has_none(baskets: Baskets) -> None:
    bought = bought_before(baskets, NOW, half_life=60.0)
    assert bought.starts.tolist() == [0, 4, 7, 7]
    assert bought.items.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert bought.counts.tolist() == [2, 1, 1, 2, 1, 1, 1]
    assert bought.days.tolist() == [60, 120, 60, 3, 120, 120, 120]
    assert bought.baskets.tolist() == [3, 1, 0]
    total = 0.25 + 0.5 + 2 ** (-3 / 60) + 1
    assert bought.rates[0] == pytest.approx((0.25 + 0.5) / total)
    assert bought.rates[4] == pytest.approx(0.25 / 1.25)


def test_a_log_without_dates_lasts_a_year(baskets_of: BasketsOf) -> None:
    log = baskets_of([[row % 3] for row in range(730)], items=3)
    assert product_columns(log, 730)[PRODUCT.index("age")].tolist() == pytest.approx([365, 364.5, 364])


def test_blocks_make_no_difference_nor_does_the_form_of_ease(
    baskets: Baskets, tables: CartTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_CELLS", 7)
    fitted = EASE(ridge=1.0).fit(Carts.of(baskets.between(None, NOW), threads=1, as_of=NOW))
    for form in (fitted, *([_listed(fitted)] if isinstance(fitted, ItemItem) else [])):
        again = cart_tables(baskets, NOW, form)
        for name in ("starts", "targets", "numbers", "popular", "products"):
            np.testing.assert_array_equal(getattr(again, name), getattr(tables, name))
        np.testing.assert_allclose(again.values, tables.values, atol=1e-6)
        np.testing.assert_allclose(again.dense, tables.dense, atol=1)


def _listed(fitted: ItemItem) -> Neighbours:
    source, target = (part.astype(np.int32) for part in np.nonzero(fitted.matrix))
    return Neighbours.from_pairs(source, target, fitted.matrix[source, target], items=len(fitted.matrix))
