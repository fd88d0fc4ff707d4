"""A shop opened from files: events up to `as_of`, properties as known then, the category tree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.prepare import Prepared, prepare
from vitrina.events.readers import read_log
from vitrina.events.schema import DAY_MS
from vitrina.features.shop import Shop

T0 = 1_430_000_000_000
EVENTS = [  # day, visitor, event, item
    (0, 7, "view", 10), (1, 7, "addtocart", 20), (2, 8, "view", 30), (3, 8, "transaction", 30), (5, 7, "view", 40),
]  # fmt: skip
PROPERTIES = [  # day, item, property, value
    (0, 10, "categoryid", 5), (3, 10, "categoryid", 6), (4, 20, "categoryid", 9), (1, 30, "categoryid", 1),
    (0, 10, "available", 1), (3, 10, "available", 0), (4, 30, "available", 0),
]  # fmt: skip
TREE = "categoryid,parentid\n5,1\n6,1\n1,\n9,3\n3,\n"


def written(folder: Path, engine: LocalEngine, *, properties: bool = True) -> Prepared:
    source = folder / "log"
    source.mkdir()
    lines = [f"{T0 + day * DAY_MS},{who},{event},{item}," for day, who, event, item in EVENTS]
    (source / "events.csv").write_text("\n".join(["timestamp,visitorid,event,itemid,transactionid", *lines]) + "\n")
    if properties:
        lines = [f"{T0 + day * DAY_MS},{item},{name},{value}" for day, item, name, value in PROPERTIES]
        (source / "item_properties.csv").write_text("\n".join(["timestamp,itemid,property,value", *lines]) + "\n")
        (source / "category_tree.csv").write_text(TREE)
    read_log(source, ColumnMap(), folder / "validated", engine)
    return prepare(folder / "validated", folder / "prepared", engine)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine) -> Prepared:
    return written(tmp_path_factory.mktemp("shop"), engine)


def test_the_log_is_read_up_to_the_time(prepared: Prepared, engine: LocalEngine) -> None:
    shop = Shop.open(prepared, engine)
    assert (shop.first_ts, shop.as_of) == (T0, T0 + 5 * DAY_MS + 1)
    assert shop.log.item.tolist() == [0, 1, 3, 2, 2]  # items 10, 20, 40 of visitor 7, then 30, 30 of visitor 8
    assert shop.histories.of(0).items.tolist() == [3, 1, 0]
    earlier = Shop.open(prepared, engine, as_of=T0 + 3 * DAY_MS)
    assert earlier.log.kind.tolist() == [0, 1, 0]
    assert earlier.as_of == T0 + 2 * DAY_MS + 1
    with pytest.raises(DataError, match="as_of"):
        Shop.open(prepared, engine, as_of=T0)


def test_categories_are_those_of_the_time(prepared: Prepared, engine: LocalEngine) -> None:
    shop = Shop.open(prepared, engine)
    assert shop.categories.tolist() == [1, 3, 5, 6, 9]

    def numbers(day: float) -> list[int | None]:
        places = shop.category(T0 + round(day * DAY_MS))
        return [None if place < 0 else int(shop.categories[place]) for place in places]

    assert numbers(2) == [5, 9, 1, None]  # 20 is described only on day 4: back-filled
    assert numbers(3) == [6, 9, 1, None]


def test_parents_are_places_in_the_list(prepared: Prepared, engine: LocalEngine) -> None:
    shop = Shop.open(prepared, engine)
    above = {int(number): int(shop.parent[place]) for place, number in enumerate(shop.categories)}
    assert above == {1: -1, 3: -1, 5: 0, 6: 0, 9: 1}
    assert shop.parent.dtype == np.int32


def test_availability_is_never_back_filled(prepared: Prepared, engine: LocalEngine) -> None:
    shop = Shop.open(prepared, engine)
    assert shop.available(T0 + 2 * DAY_MS).tolist() == [True, True, True, True]
    assert shop.available(T0 + 4 * DAY_MS).tolist() == [False, True, False, True]


def test_what_fitting_sees(prepared: Prepared, engine: LocalEngine) -> None:
    past = Shop.open(prepared, engine).past(T0 + 2 * DAY_MS)
    assert (past.users, past.items, past.as_of) == (2, 4, T0 + 2 * DAY_MS)
    assert past.interactions.nnz == 2
    assert past.weights == (1.0, 3.0, 5.0)


def test_a_shop_that_describes_nothing(tmp_path: Path, engine: LocalEngine) -> None:
    shop = Shop.open(written(tmp_path, engine, properties=False), engine)
    assert len(shop.categories) == len(shop.parent) == 0
    assert shop.category(shop.as_of).tolist() == [-1] * 4
    assert shop.available(shop.as_of).all()
    assert shop.titles() is None
