"""What a generated panel holds, counted while it is written: the report that reading its raw file would give."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from vitrina.events.panels.columns import PANEL_FILE, PRODUCTS, PROFILE, month_text
from vitrina.events.panels.report import PANEL, PanelReport
from vitrina.events.synthetic_panels.rows import Block
from vitrina.events.synthetic_panels.spec import PanelSpec
from vitrina.events.synthetic_panels.walk import unpacked


class Counts:
    """Sums over the blocks of a panel."""

    def __init__(self, spec: PanelSpec) -> None:
        self.spec, self.rows = spec, 0
        self.months = np.zeros(spec.months, dtype=np.int64)
        self.owned, self.known = np.zeros(len(PRODUCTS), dtype=np.int64), np.zeros(len(PRODUCTS), dtype=np.int64)
        self.empty = dict.fromkeys((column.name for column in PROFILE), 0)

    def add(self, block: Block, table: pa.Table) -> None:
        self.rows += len(table)
        self.months += np.bincount(block.offset, minlength=self.spec.months)
        self.owned += unpacked(block.owned).sum(axis=0)
        self.known += unpacked(block.known).sum(axis=0)
        for name in self.empty:
            self.empty[name] += table[name].null_count

    def report(self) -> PanelReport:
        seen = np.flatnonzero(self.months)
        return PanelReport(
            source="generated",
            file=PANEL_FILE,
            form=PANEL,
            rows_in=self.rows,
            rows_out=self.rows,
            customers=self.spec.customers,
            first_month=self.spec.start + int(seen[0]),
            last_month=self.spec.start + int(seen[-1]),
            months={month_text(self.spec.start + int(one)): int(self.months[one]) for one in seen},
            empty=self.empty,
            unknown={one.column: self.rows - int(n) for one, n in zip(PRODUCTS, self.known, strict=True)},
            owned={one.column: int(n) for one, n in zip(PRODUCTS, self.owned, strict=True)},
            missing=(),
            notes=(),
        )
