"""The item table against counts made by hand, and against the future."""

from __future__ import annotations

from collections.abc import Callable

import ibis.expr.types as ir
import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.item_columns import ITEM_FEATURES, WINDOWS
from vitrina.features.item_table import SMOOTHING, ItemTable, fit_item_table, user_activity

AsTable = Callable[..., ir.Table]
AS_OF = 1_440_000_000_000
CATEGORY = np.array([0, 0, 1, -1, 1], np.int32)


def ago(days: float) -> int:
    return AS_OF - round(days * DAY_MS)


# Item 0: three viewers, of whom two want it and one buys. Item 1: one old view. Item 2: one cart within the hour.
# Item 3 (no category): a view. Item 4: nothing before AS_OF.
LOG = [
    (0, 0, VIEW, ago(0.5)),
    (0, 0, VIEW, ago(0.4)),
    (1, 0, VIEW, ago(2)),
    (1, 0, CART, ago(2)),
    (2, 0, VIEW, ago(6)),
    (2, 0, CART, ago(5)),
    (2, 0, BUY, ago(5)),
    (3, 1, VIEW, ago(40)),
    (3, 2, CART, ago(0.01)),
    (4, 3, VIEW, ago(10)),
    (5, 4, BUY, AS_OF),
]


@pytest.fixture(scope="module")
def table(engine: LocalEngine, as_table: AsTable) -> ItemTable:
    return fit_item_table(engine, as_table(LOG), as_of=AS_OF, category=CATEGORY)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("item_events_1d", [2, 0, 1, 0, 0]),
        ("item_events_3d", [4, 0, 1, 0, 0]),
        ("item_events_7d", [7, 0, 1, 0, 0]),
        ("item_events_30d", [7, 0, 1, 1, 0]),
        ("item_events", [7, 1, 1, 1, 0]),
        ("item_users", [3, 1, 1, 1, 0]),
        ("item_wanted_1d", [0, 0, 1, 0, 0]),
        ("item_wanted_3d", [1, 0, 1, 0, 0]),
        ("item_wanted_7d", [3, 0, 1, 0, 0]),
        ("item_wanted_30d", [3, 0, 1, 0, 0]),
        ("item_wanted", [3, 0, 1, 0, 0]),
        ("item_bought", [1, 0, 0, 0, 0]),
        ("item_age_days", [6, 40, 0.01, 10, np.nan]),
        ("item_idle_days", [0.4, 40, 0.01, 10, np.nan]),
        ("category_events_7d", [7, 7, 1, 0, 1]),
        ("category_wanted_30d", [3, 3, 1, 0, 1]),
    ],
)
def test_counts_are_those_of_the_log(table: ItemTable, name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(table.column(name), expected, rtol=1e-5)


def test_rates_are_pulled_towards_the_shops(table: ItemTable) -> None:
    # viewers: 3, 1, 0, 1, 0; wanters: 2, 0, 1, 0, 0; buyers: 1, 0, 0, 0, 0
    to_cart, to_buy = 3 / 5, 1 / 3
    assert table.column("item_view_to_cart")[0] == pytest.approx((2 + SMOOTHING * to_cart) / (3 + SMOOTHING))
    assert table.column("item_view_to_cart")[1] == pytest.approx((SMOOTHING * to_cart) / (1 + SMOOTHING))
    assert table.column("item_view_to_cart")[4] == pytest.approx(to_cart)
    assert table.column("item_cart_to_buy")[0] == pytest.approx((1 + SMOOTHING * to_buy) / (2 + SMOOTHING))
    assert table.column("item_cart_to_buy")[4] == pytest.approx(to_buy)
    # categories: 4 viewers and 2 wanters in the first, 0 and 1 in the second, which is three quarters of the shop's
    mean = 3 / 4
    assert table.column("category_view_to_cart")[:2] == pytest.approx((2 + SMOOTHING * mean) / (4 + SMOOTHING))
    assert table.column("category_view_to_cart")[4] == pytest.approx((1 + SMOOTHING * mean) / SMOOTHING)


def test_trend_is_one_for_a_steady_item_and_for_nothing(table: ItemTable) -> None:
    assert table.column("item_trend")[4] == pytest.approx(1.0)
    assert table.column("item_trend")[1] == pytest.approx(1.0)
    assert table.column("item_trend")[0] == pytest.approx(8 * (30 / 7) / (7 + 30 / 7))


def test_an_item_without_a_category_has_no_category_numbers(table: ItemTable) -> None:
    for name in ("category_events_7d", "category_wanted_30d", "category_view_to_cart"):
        assert table.column(name)[3] == 0.0


def test_windows_hold_their_first_moment(engine: LocalEngine, as_table: AsTable) -> None:
    for days in WINDOWS:
        rows = [(0, 0, CART, ago(days)), (0, 1, CART, ago(days) - 1)]
        found = fit_item_table(engine, as_table(rows), as_of=AS_OF, category=np.full(2, -1, np.int32))
        assert found.column(f"item_events_{days}d").tolist() == [1, 0]
        assert found.column(f"item_wanted_{days}d").tolist() == [1, 0]


def test_the_future_changes_nothing(engine: LocalEngine, as_table: AsTable, table: ItemTable) -> None:
    later = [(user, item, kind, AS_OF + extra) for extra in (0, 1, DAY_MS) for user, item, kind, _ in LOG]
    again = fit_item_table(engine, as_table(LOG + later), as_of=AS_OF, category=CATEGORY)
    np.testing.assert_array_equal(again.values, table.values)


def test_a_shop_without_categories_has_a_table(engine: LocalEngine, as_table: AsTable, table: ItemTable) -> None:
    found = fit_item_table(engine, as_table(LOG), as_of=AS_OF, category=np.full(5, -1, np.int32))
    assert found.values.shape == (5, len(ITEM_FEATURES))
    np.testing.assert_array_equal(found.column("item_events"), table.column("item_events"))
    assert not found.column("category_events_7d").any()


def test_activity_of_visitors(engine: LocalEngine, as_table: AsTable) -> None:
    found = {row.pop("user"): row for row in engine.to_arrow(user_activity(as_table(LOG), as_of=AS_OF)).to_pylist()}
    assert found[2] == {"events": 3, "wanted": 2, "last_ts": ago(5)}
    assert found[0] == {"events": 2, "wanted": 0, "last_ts": ago(0.4)}
    assert 5 not in found
