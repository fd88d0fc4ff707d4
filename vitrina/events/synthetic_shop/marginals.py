"""A folder of RetailRocket's files in numbers: the marginals that a generated world has to share with the real shop."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from vitrina.events.schema import DAY_MS, KIND_NAMES
from vitrina.events.synthetic_shop.spec import REAL_CATEGORIES, REAL_EVENTS, REAL_ITEMS, REAL_USERS

REAL: Final[dict[str, float]] = {
    "share of view": 0.9667,
    "share of addtocart": 0.0252,
    "share of transaction": 0.0081,
    "visitors per event": REAL_USERS / REAL_EVENTS,
    "items per event": REAL_ITEMS / REAL_EVENTS,
    "median events of a visitor": 1.0,
    "visitors that cart": 0.0268,
    "visitors that buy": 0.0083,
    "carted pairs that are bought": 0.306,
    "items with one event": 0.31,
    "days": 137.0,
    "categories": float(REAL_CATEGORIES),
    "depth of the tree": 6.0,
    "items that change category": 0.06,
    "items that change availability": 0.17,
}
"""The same figures of the real log, where published."""


def marginals(folder: Path) -> dict[str, float]:
    """The figures of `REAL` for the plain CSV files of a folder (all of them in memory)."""
    kinds = csv.ConvertOptions(auto_dict_encode=True)
    events = csv.read_csv(folder / "events.csv", convert_options=kinds).combine_chunks()
    users, items = events["visitorid"].to_numpy(), events["itemid"].to_numpy()
    n, n_users = len(users), len(np.unique(users))
    is_kind = {name: pc.equal(events["event"].cast(pa.string()), name).to_numpy() for name in KIND_NAMES}
    pair = users * (int(items.max()) + 1) + items
    carted, bought = (np.unique(pair[is_kind[name]]) for name in ("addtocart", "transaction"))
    per_item = np.unique(items, return_counts=True)[1]
    ts = events["timestamp"].to_numpy()
    parent = csv.read_csv(folder / "category_tree.csv")
    changes = _changes(folder)
    return {
        **{f"share of {name}": float(is_kind[name].mean()) for name in KIND_NAMES},
        "visitors per event": n_users / n,
        "items per event": len(per_item) / n,
        "median events of a visitor": float(np.median(np.unique(users, return_counts=True)[1])),
        "visitors that cart": len(np.unique(users[is_kind["addtocart"]])) / n_users,
        "visitors that buy": len(np.unique(users[is_kind["transaction"]])) / n_users,
        "carted pairs that are bought": float(np.isin(carted, bought).mean()) if len(carted) else 0.0,
        "items with one event": float(np.mean(per_item == 1)),
        "days": float(np.round((ts.max() - ts.min()) / DAY_MS)),
        "categories": float(len(parent)),
        "depth of the tree": float(_depth(parent)),
        "items that change category": changes["categoryid"],
        "items that change availability": changes["available"],
    }


def comparison(folder: Path) -> str:
    """`marginals` of the folder beside `REAL`, as a Markdown table."""
    rows = [f"| {name} | {REAL[name]:.6g} | {value:.6g} |" for name, value in marginals(folder).items()]
    return "\n".join(["| | RetailRocket | generated |", "|---|---|---|", *rows])


def _changes(folder: Path) -> dict[str, float]:
    """Share of listed items with more than one value of a property."""
    text = csv.ConvertOptions(column_types={"property": pa.string(), "value": pa.string()})
    found: dict[str, float] = {}
    parts = [csv.read_csv(path, convert_options=text) for path in sorted(folder.glob("item_properties*.csv"))]
    table = pa.concat_tables(parts).select(["itemid", "property", "value"])
    for name in ("categoryid", "available"):
        values = (
            table.filter(pc.equal(table["property"], name)).group_by("itemid").aggregate([("value", "count_distinct")])
        )
        found[name] = float(np.mean(values["value_count_distinct"].to_numpy() > 1))
    return found


def _depth(tree: pa.Table) -> int:
    child, parent = tree["categoryid"].to_pylist(), tree["parentid"].to_pylist()
    above = dict(zip(child, parent, strict=True))

    def levels(category: int | None) -> int:
        return 0 if category is None else 1 + levels(above[category])

    return max(levels(category) for category in child)
