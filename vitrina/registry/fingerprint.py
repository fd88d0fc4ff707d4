"""The fingerprint of a prepared folder: equal for equal data, whatever the file layout, compression or order of rows.

In: a folder of parquet tables and .npy arrays. Out: 64 hexadecimal digits. JSON reports are left out: they tell of the
reading (paths, durations), not of the data.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vitrina.errors import DataError

Hashes = npt.NDArray[np.uint64]

_BATCH_ROWS = 1 << 19
_NULL = np.uint64(0x9E3779B97F4A7C15)


def fingerprint(folder: Path) -> str:
    """Hash of all tables (`*.parquet`: names, types, rows as a multiset) and arrays (`*.npy`: bytes) of a folder.

    100 MB of parquet take a few seconds and the memory of one batch. Raises DataError when the folder holds no data.
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".parquet", ".npy") and path.is_file())
    if not paths:
        raise DataError("no parquet or npy file is in it", where=str(folder), remedy="Run the step `prepare` first.")
    total = hashlib.sha256()
    for path in paths:
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\n{_table(path) if path.suffix == '.parquet' else _file(path)}\n".encode())
    return total.hexdigest()


def _file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table(path: Path) -> str:
    """Columns, row count and two sums of row hashes modulo 2^64: sums do not depend on the order, and count repeats."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"not readable as parquet ({error})", where=str(path), remedy="Prepare the data again."
        ) from error
    with file:
        columns = sorted(file.schema_arrow.names)
        sums = np.zeros(2, np.uint64)
        rows = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            hashes = np.zeros(batch.num_rows, np.uint64)
            for name in columns:
                hashes = _mixed(hashes ^ _values(batch.column(name)))
            sums += np.array([hashes.sum(dtype=np.uint64), _mixed(hashes).sum(dtype=np.uint64)])
            rows += batch.num_rows
        types = " ".join(f"{name}:{file.schema_arrow.field(name).type}" for name in columns)
    return f"{types} {rows} {sums[0]:016x}{sums[1]:016x}"


def _values(column: pa.Array) -> Hashes:
    """One 64-bit number per row, (rows,) uint64: equal for equal values."""
    missing = np.asarray(column.is_null())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_binary(column.type):
        coded = column.dictionary_encode()
        words = [word.encode() if isinstance(word, str) else word for word in coded.dictionary.to_pylist()]
        digests = [hashlib.blake2b(word, digest_size=8).digest() for word in words]
        table = np.frombuffer(b"".join(digests) + bytes(8), "<u8")
        hashes = table[np.asarray(pc.fill_null(coded.indices, len(words)))]
    elif pa.types.is_floating(column.type):
        values = np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0)) + 0.0  # -0.0 is 0.0
        hashes = values.view(np.uint64)
    else:
        hashes = np.asarray(pc.fill_null(column.cast(pa.int64()), 0)).astype(np.int64, copy=False).view(np.uint64)
    return np.where(missing, _NULL, _mixed(hashes))


def _mixed(numbers: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after its increment: every bit depends on every bit."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
