"""Ibis on an in-process DuckDB that spills to disk when its memory limit is reached."""

from __future__ import annotations

import glob
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from vitrina.errors import ConfigError, DataError

PARQUET: dict[str, Any] = {"compression": "zstd", "row_group_size": 122_880}


class LocalEngine:
    """One DuckDB connection. `with LocalEngine() as engine:` or `connect()` ... `close()`; the first use connects too.

    `memory_limit` as DuckDB writes it ("2GB"), `threads` defaults to the cores of the machine, and
    `temp_directory` is where spilled data goes (by default a folder of its own, removed by `close`).
    """

    def __init__(
        self, *, memory_limit: str = "3GB", threads: int | None = None, temp_directory: Path | str | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"the engine needs at least one thread, not {threads}")
        self.memory_limit = memory_limit
        self.threads = threads or os.cpu_count() or 1
        self.temp_directory = None if temp_directory is None else Path(temp_directory)
        self._backend: Backend | None = None
        self._own_temp: tempfile.TemporaryDirectory[str] | None = None

    def connect(self) -> Self:
        """Opens the connection, if it is not open yet."""
        if self._backend is None:
            if self.temp_directory is None:
                self._own_temp = tempfile.TemporaryDirectory(prefix="vitrina-engine-")
                folder = Path(self._own_temp.name)
            else:
                folder = self.temp_directory
                folder.mkdir(parents=True, exist_ok=True)
            settings: dict[str, Any] = {
                "memory_limit": self.memory_limit,
                "temp_directory": str(folder),
                "autoinstall_known_extensions": False,
                "TimeZone": "UTC",
                "threads": self.threads,
            }
            try:
                self._backend = ibis.duckdb.connect(**settings)
            except duckdb.Error as error:
                self.close()
                raise ConfigError(f"DuckDB refuses the engine's settings {settings}: {error}") from error
        return self

    def close(self) -> None:
        """Closes the connection and removes the temporary folder that it made. Safe to call twice."""
        if self._backend is not None:
            self._backend.disconnect()
            self._backend = None
        if self._own_temp is not None:
            self._own_temp.cleanup()
            self._own_temp = None

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def backend(self) -> Backend:
        """The Ibis backend, for expressions that need a table of their own."""
        self.connect()
        assert self._backend is not None
        return self._backend

    @property
    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """The bare connection, for the file readers: what Ibis cannot say about CSV files is plain SQL there."""
        connection: duckdb.DuckDBPyConnection = self.backend.con
        return connection

    def read_parquet(self, path: Path | str | Sequence[Path | str]) -> ir.Table:
        """A lazy table over one parquet file or several of one schema, whatever letters are in their paths. `DataError`
        when one does not exist."""
        paths = [str(path)] if isinstance(path, str | Path) else [str(part) for part in path]
        missing = [one for one in paths if not Path(one).is_file()]
        if missing or not paths:
            raise DataError(
                "there is no such parquet file",
                where=missing[0] if missing else "read_parquet",
                remedy="Check the path.",
            )
        try:
            with warnings.catch_warnings():  # ibis 12 reads the schema with a method that duckdb 2 calls deprecated
                warnings.filterwarnings("ignore", "fetch_arrow_table", DeprecationWarning)
                return self.backend.read_parquet([glob.escape(one) for one in paths])
        except duckdb.Error as error:
            raise DataError(
                f"this is not a readable parquet file ({error})",
                where=", ".join(paths),
                remedy="Write the file again; a copy that stopped halfway looks like this.",
            ) from error

    def write_parquet(self, expr: ir.Table, path: Path | str, *, order_by: str | Sequence[str] = ()) -> None:
        """Runs `expr` into one parquet file through a temporary name; `order_by` columns ascending, nulls last."""
        keys = [order_by] if isinstance(order_by, str) else list(order_by)
        if keys:
            expr = expr.order_by([ibis.asc(expr[key]) for key in keys])
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            self.backend.to_parquet(expr, unfinished, **PARQUET)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def to_arrow(self, expr: ir.Table) -> pa.Table:
        """Runs `expr` and returns its rows in memory."""
        return self.backend.to_pyarrow(expr)
