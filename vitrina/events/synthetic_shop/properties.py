"""item_properties of a generated world: what the shop's weekly snapshots say about its items.

`categoryid` and `available` are readable and change; three more properties look as RetailRocket's do: 790 a price,
888 words, 159 a brand. A change becomes visible at the first snapshot after it, and the first snapshot comes a week
after the first event.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrina.events.synthetic_shop.files import csv_file
from vitrina.events.synthetic_shop.spec import DAY, WEEK, WorldSpec
from vitrina.events.synthetic_shop.world import BRANDS, NEVER, World

_SCHEMA = pa.schema(
    [("timestamp", pa.int64()), ("itemid", pa.int64()), ("property", pa.string()), ("value", pa.string())]
)
_ITEMS_AT_ONCE = 200_000


def write_properties(spec: WorldSpec, world: World, out: Path) -> None:
    """Writes item_properties_part1.csv and item_properties_part2.csv, half of the items each, ids ascending in
    blocks.
    """
    row_of_item = np.argsort(world.shop.item_id)
    half = (len(row_of_item) + 1) // 2
    rng = np.random.default_rng([spec.seed, 2])
    for name, rows in (("part1", row_of_item[:half]), ("part2", row_of_item[half:])):
        with csv_file(out / f"item_properties_{name}.csv", _SCHEMA) as write:
            for first in range(0, len(rows), _ITEMS_AT_ONCE):
                write(_table(spec, world, rows[first : first + _ITEMS_AT_ONCE], rng))


def _table(spec: WorldSpec, world: World, rows: NDArray[np.int64], rng: np.random.Generator) -> pa.Table:
    shop = world.shop
    step = WEEK if spec.days >= 28 else spec.days * DAY // 4
    snapshots = np.arange(spec.start + step, spec.end, step)
    listed = np.minimum(np.searchsorted(snapshots, shop.birth[rows]), len(snapshots) - 1)
    group = np.searchsorted(shop.group_ptr, rows, side="right") - 1
    leaf, brand = group // BRANDS, group % BRANDS
    refiled, toggled = _visible(snapshots, world.refiled[rows]), _visible(snapshots, shop.toggle[rows])
    refiled_late = (refiled > listed) & (refiled < len(snapshots))
    toggled_late = (toggled > listed) & (toggled < len(snapshots))
    first_leaf = np.where(refiled <= listed, leaf, world.first_leaf[rows])
    available = np.where(toggled <= listed, ~shop.available[rows], shop.available[rows])
    price = _text(np.maximum(1, np.exp(rng.normal(9.5 + 0.3 * brand, 0.8))).astype(np.int64) * 120)
    price = pc.binary_join_element_wise("n", pc.binary_join_element_wise(price, ".000", ""), "")
    brand_code, leaf_code = _text(_hashed(brand + 1)), _text(_hashed(shop.leaf_id[leaf] + 100))
    words = pc.binary_join_element_wise(
        leaf_code, brand_code, _text(_hashed(rng.integers(2_000, 9_000, len(rows)))), price, " "
    )
    parts = [
        (listed, rows, "categoryid", _text(shop.leaf_id[first_leaf])),
        (listed, rows, "available", _text(available.astype(np.int64))),
        (listed, rows, "790", price),
        (listed, rows, "888", words),
        (listed, rows, "159", brand_code),
        (refiled[refiled_late], rows[refiled_late], "categoryid", _text(shop.leaf_id[leaf[refiled_late]])),
        (toggled[toggled_late], rows[toggled_late], "available", _text(1 - available[toggled_late].astype(np.int64))),
    ]
    return pa.table(
        [
            np.concatenate([snapshots[at] for at, _, _, _ in parts]),
            np.concatenate([shop.item_id[which] for _, which, _, _ in parts]),
            pa.array(np.repeat([name for _, _, name, _ in parts], [len(at) for at, _, _, _ in parts])),
            pa.concat_arrays([value for _, _, _, value in parts]),
        ],
        schema=_SCHEMA,
    )


def _visible(snapshots: NDArray[np.int64], when: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the first snapshot at or after `when`; beyond the last one for NEVER."""
    return np.where(when == NEVER, len(snapshots) + 1, np.searchsorted(snapshots, when))


def _text(numbers: NDArray[np.int64]) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _hashed(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fixed scrambling into at most seven digits, so that a value looks as anonymous as the real ones."""
    return numbers * 7_368_787 % 1_299_709
