"""What a stage may ask of an engine. Stages write Ibis expressions and hand them here; they never see the backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa


class Engine(Protocol):
    """Runs Ibis expressions over parquet files in bounded memory. One thread at a time may call it."""

    @property
    def threads(self) -> int:
        """How many threads its work may take, and the matrix work on its results as well."""
        ...

    def read_parquet(self, path: Path | str | Sequence[Path | str]) -> ir.Table:
        """A lazy table over one parquet file or several of one schema. `DataError` when one does not exist."""
        ...

    def write_parquet(self, expr: ir.Table, path: Path | str, *, order_by: str | Sequence[str] = ()) -> None:
        """Runs `expr` into one parquet file, rows in `order_by` order (ascending) when given; never half a file."""
        ...

    def to_arrow(self, expr: ir.Table) -> pa.Table:
        """Runs `expr` and returns its rows in memory."""
        ...

    def close(self) -> None:
        """Frees the backend and its temporary files; expressions of this engine are dead afterwards."""
        ...
