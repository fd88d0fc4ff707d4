"""Generated worlds: RetailRocket's files for a shop of any size whose laws are known.

`WorldSpec` goes in; events.csv, item_properties_part1.csv, item_properties_part2.csv, category_tree.csv come out,
beside oracle.npz and oracle.json, which `Oracle.load` reads. docs/generated-worlds.md describes the laws and compares
the marginals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrina.errors import ConfigError
from vitrina.events.schema import KIND_NAMES
from vitrina.events.synthetic_shop.files import csv_file
from vitrina.events.synthetic_shop.oracle import Oracle, Tastes
from vitrina.events.synthetic_shop.properties import write_properties
from vitrina.events.synthetic_shop.spec import WorldSpec
from vitrina.events.synthetic_shop.visitors import extra_events, simulate
from vitrina.events.synthetic_shop.world import Shop, build_world

__all__ = ["Oracle", "Tastes", "WorldSpec", "generate_world"]

_EVENTS = pa.schema(
    [
        ("timestamp", pa.int64()),
        ("visitorid", pa.int64()),
        ("event", pa.dictionary(pa.int8(), pa.string())),
        ("itemid", pa.int64()),
        ("transactionid", pa.int64()),
    ]
)
_TREE = pa.schema([("categoryid", pa.int64()), ("parentid", pa.int64())])
_USERS_AT_ONCE = 262_144
_EVENTS_AT_ONCE = 1_000_000


def generate_world(spec: WorldSpec, out: Path, progress: Callable[[int], None] | None = None) -> Oracle:
    """Writes the world's files into the folder `out` (made if missing, its old world replaced) and returns the oracle.

    `progress` gets the number of events written so far. Memory is bounded by the catalogue and one block of visitors.
    The same spec gives the same bytes. events.csv holds visitors in blocks of ascending id, each block sorted by
    time. Raises `ConfigError` when `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: name a folder for the generated world.")
    out.mkdir(parents=True, exist_ok=True)
    (out / "oracle.json").unlink(missing_ok=True)  # comes back last, so a half-replaced world is not taken for one
    world = build_world(spec)
    roots = world.parent < 0
    with csv_file(out / "category_tree.csv", _TREE) as write:
        write(pa.table([np.arange(len(roots)), pa.array(world.parent, mask=roots)], schema=_TREE))
    write_properties(spec, world, out)
    written = transactions = 0
    with csv_file(out / "events.csv", _EVENTS) as write:
        for first_user, offsets in _blocks(spec, world.shop):
            table, here = _events(spec, world.shop, first_user, offsets, transactions)
            write(table)
            written, transactions = written + len(table), transactions + here
            if progress is not None:
                progress(written)
    oracle = Oracle(spec, world.shop)
    oracle.save(out)
    return oracle


def _blocks(spec: WorldSpec, shop: Shop) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """First visitor and event offsets (visitors + 1,) of each block; all blocks together hold exactly `spec.events`."""
    users = spec.n_users
    size = max(1, min(_USERS_AT_ONCE, _EVENTS_AT_ONCE * users // spec.events))
    extra = np.empty(size, dtype=np.int64)
    drawn = 0
    for first in range(0, users, size):
        block = extra[: min(size, users - first)]
        extra_events(shop, spec.seed, first, block)
        drawn += int(block.sum())
    before = 0
    for first in range(0, users, size):
        block = extra[: min(size, users - first)]
        extra_events(shop, spec.seed, first, block)
        if drawn == 0:  # nobody drew more than one event: share what is left evenly
            block[:] = 1
        running = before + np.concatenate([[0], np.cumsum(block)])
        # Scaled to the wanted total in whole numbers, carried from block to block.
        scaled = _scaled(running, spec.events - users, drawn or users)
        before = int(running[-1])
        yield first, scaled - scaled[0] + np.arange(len(block) + 1)


def _scaled(running: NDArray[np.int64], wanted: int, drawn: int) -> NDArray[np.int64]:
    """running * wanted // drawn without leaving 64 bits."""
    whole, rest = np.divmod(running, drawn)
    if drawn * wanted < 2**63:
        return whole * wanted + rest * wanted // drawn
    return whole * wanted + (rest.astype(object) * wanted // drawn).astype(np.int64)


def _events(
    spec: WorldSpec, shop: Shop, first_user: int, offsets: NDArray[np.int64], transactions: int
) -> tuple[pa.Table, int]:
    n = int(offsets[-1])
    ts, rows, baskets = (np.empty(n, dtype=np.int64) for _ in range(3))
    kinds = np.empty(n, dtype=np.int8)
    new = simulate(shop, spec.seed, first_user, offsets, ts, kinds, rows, baskets)
    order = np.argsort(ts, kind="stable")
    users = np.repeat(np.arange(first_user, first_user + len(offsets) - 1), np.diff(offsets))
    kinds, baskets = kinds[order], baskets[order]
    names = pa.DictionaryArray.from_arrays(kinds, pa.array(KIND_NAMES))
    ids = pa.array(baskets + transactions, mask=baskets < 0)
    return pa.table([ts[order], users[order], names, shop.item_id[rows[order]], ids], schema=_EVENTS), new
