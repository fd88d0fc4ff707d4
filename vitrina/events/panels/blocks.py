"""A validated panel in stretches of whole customers, for whoever goes through all of it in bounded memory."""

from __future__ import annotations

from pathlib import Path

import ibis

from vitrina.engine import Engine
from vitrina.events.panels.columns import PANEL_FILE


def customer_blocks(panel: Path, engine: Engine, rows: int) -> list[tuple[int, int]]:
    """First and last customer of stretches of about `rows` rows, ascending, as `Panel.open` takes them."""
    table = engine.read_parquet(panel / PANEL_FILE)
    sizes = table.group_by("customer").aggregate(n=table.count())
    before = sizes.n.sum().over(ibis.cumulative_window(order_by="customer")) - sizes.n
    numbered = sizes.mutate(block=before // rows)
    blocks = numbered.group_by("block").aggregate(first=numbered.customer.min(), last=numbered.customer.max())
    return [(one["first"], one["last"]) for one in engine.to_arrow(blocks.order_by("block")).to_pylist()]
