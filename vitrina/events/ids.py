"""Opaque ids outside, row numbers inside. An `IdMap` is one sorted array, so it is saved as .npy and memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vitrina.errors import DataError
from vitrina.events.schema import MAX_ID_BYTES

INT64 = np.iinfo(np.int64)


class IdMap:
    """Ids, either all int64 or all strings (kept as utf-8 bytes `S{n}`), and their row numbers 0 .. len - 1.

    Rows follow the sorted order of the ids (strings: by utf-8 bytes). `IdMap(ids)` sorts and drops repeats;
    `DataError` for mixed types, an empty string, a NUL inside, or more than 128 bytes of utf-8.
    """

    def __init__(self, ids: npt.NDArray[Any] | pa.Array | pa.ChunkedArray | Iterable[int] | Iterable[str]) -> None:
        array = _as_ids(ids)
        if len(array) > 1 and not bool(np.all(array[:-1] < array[1:])):
            array = np.unique(array)
        self._ids = array

    @classmethod
    def load(cls, path: Path | str, *, mmap: bool = True) -> IdMap:
        """Opens a saved map; by default its pages are read from disk when touched. `DataError` for another file."""
        try:
            array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(f"no id map can be read ({error})", where=str(path), remedy="Prepare again.") from error
        if array.ndim != 1 or not (array.dtype == np.int64 or array.dtype.kind == "S"):
            found = f"an array of {array.dtype} with {array.ndim} axes"
            raise DataError(f"an id map was expected, not {found}", where=str(path), remedy="Prepare again.")
        loaded = cls.__new__(cls)
        vars(loaded)["_ids"] = array.view(np.ndarray)
        return loaded

    def save(self, path: Path | str) -> None:
        """Writes the sorted ids as one .npy file under exactly this name."""
        with Path(path).open("wb") as file:
            np.save(file, self._ids)

    @property
    def kind(self) -> Literal["int", "str"]:
        return "str" if self._ids.dtype.kind == "S" else "int"

    @property
    def ids(self) -> npt.NDArray[Any]:
        """The sorted ids as kept: int64, or `S{n}` bytes of utf-8."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.kind == other.kind and np.array_equal(self._ids, other._ids)

    __hash__ = None  # type: ignore[assignment]  # compared by value, so it must not be a dictionary key

    def __repr__(self) -> str:
        return f"IdMap({len(self)} {self.kind} ids)"

    def index_of(self, id: int | str) -> int:
        """Row of one id, -1 when unknown. An id is read in the map's type: "17" finds 17, and 17 finds "17"."""
        key = self._key(id)
        if key is None:
            return -1
        row = int(self._ids.searchsorted(key))
        return row if row < len(self._ids) and self._ids[row] == key else -1

    def rows(
        self, ids: npt.NDArray[Any] | pa.Array | pa.ChunkedArray | Iterable[int] | Iterable[str]
    ) -> npt.NDArray[np.int32]:
        """Rows of many ids, int32, -1 where unknown. Whole arrays of the map's type are looked up at once."""
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and self.kind == "int":
            wanted = ids.astype(np.int64) if ids.dtype.kind == "i" or ids.dtype.itemsize < 8 else None
        elif isinstance(ids, np.ndarray) and ids.dtype.kind == "S" and ids.dtype == self._ids.dtype:
            wanted = ids
        elif isinstance(ids, pa.Array | pa.ChunkedArray) and pa.types.is_integer(ids.type) and self.kind == "int":
            return self.rows(np.asarray(ids.to_numpy()))
        else:
            wanted = None
        if wanted is None:
            values = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else ids
            return np.fromiter((self.index_of(value) for value in values), dtype=np.int32)
        if len(self._ids) == 0:
            return np.full(len(wanted), -1, dtype=np.int32)
        found = self._ids.searchsorted(wanted)
        found[found == len(self._ids)] = 0
        return np.where(self._ids[found] == wanted, found, -1).astype(np.int32)

    def id_of(self, row: int) -> int | str:
        """The id of one row; `IndexError` outside 0 .. len - 1."""
        if not 0 <= row < len(self._ids):
            raise IndexError(f"row {row} of a map with {len(self._ids)} ids")
        value = self._ids[row]
        return value.decode("utf-8") if self.kind == "str" else int(value)

    def ids_of(self, rows: npt.ArrayLike) -> list[int] | list[str]:
        """The ids of many rows, as plain Python values ready for JSON; `IndexError` outside 0 .. len - 1."""
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self._ids)):
            raise IndexError(f"rows {wanted.min()} .. {wanted.max()} of a map with {len(self._ids)} ids")
        picked = self._ids[wanted]
        return [value.decode("utf-8") for value in picked.tolist()] if self.kind == "str" else picked.tolist()

    def _key(self, id: object) -> Any:
        """The id as one value of the array's dtype, or None when no such value can be in the map."""
        if isinstance(id, bool | np.bool_):
            return None
        if self.kind == "int":
            if isinstance(id, str):
                digits = id.removeprefix("-")
                if not (digits.isascii() and digits.isdigit() and len(id) <= 20):
                    return None
                number = int(id)
                if str(number) != id:
                    return None
            elif isinstance(id, int | np.integer):
                number = int(id)
            else:
                return None
            return np.int64(number) if INT64.min <= number <= INT64.max else None
        if isinstance(id, bytes):
            text = id
        elif isinstance(id, str | int | np.integer):
            text = str(id).encode("utf-8", errors="surrogatepass")
        else:
            return None
        if not text or len(text) > self._ids.dtype.itemsize or b"\0" in text:
            return None
        return np.array(text, dtype=self._ids.dtype)[()]


def _as_ids(ids: Any) -> npt.NDArray[Any]:
    """int64 or `S{n}`, in the given order."""
    if isinstance(ids, pa.ChunkedArray | pa.Array):
        return _from_arrow(ids)
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        if ids.dtype == np.uint64 and ids.size and int(ids.max()) > INT64.max:
            raise _fault("an integer id is over 2**63 - 1", "Use string ids.")
        return ids.astype(np.int64, copy=False)
    if isinstance(ids, np.ndarray) and ids.dtype.kind == "S":
        if ids.size and (np.char.str_len(ids).min() == 0 or ids.dtype.itemsize > MAX_ID_BYTES):
            return _from_python(ids.tolist())
        return ids
    return _from_python(ids.tolist() if isinstance(ids, np.ndarray) else list(ids))


def _from_python(values: list[Any]) -> npt.NDArray[Any]:
    if not values:
        return np.empty(0, dtype=np.int64)
    if all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values):
        if not all(INT64.min <= value <= INT64.max for value in values):
            raise _fault("an integer id does not fit 64 bits", "Use string ids.")
        return np.array(values, dtype=np.int64)
    if all(isinstance(value, bytes) for value in values):
        return _as_bytes(values)
    if not all(isinstance(value, str) for value in values):
        kinds = sorted({type(value).__name__ for value in values})
        raise _fault(f"ids must be all integers or all strings, not {', '.join(kinds)}", "Use one type.")
    try:
        return _as_bytes([value.encode("utf-8") for value in values])
    except UnicodeEncodeError as error:
        raise _fault(f"an id is not text ({error})", "Remove lone surrogates.") from error


def _as_bytes(values: list[bytes]) -> npt.NDArray[Any]:
    longest = max(values, key=len)
    if len(longest) > MAX_ID_BYTES:
        shown = longest[:40].decode("utf-8", errors="replace")
        raise _fault(f"id {shown!r}... takes {len(longest)} bytes, over {MAX_ID_BYTES}", "Use shorter ids.")
    if not all(values) or any(b"\0" in value for value in values):
        raise _fault("an id is empty or holds a NUL character", "Remove such rows.")
    return np.array(values, dtype=f"S{len(longest)}")


def _from_arrow(ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """By chunks, so that no more than one chunk of Python objects lives at a time."""
    if ids.null_count:
        raise _fault("an id is null", "Remove such rows.")
    if pa.types.is_integer(ids.type):
        return _as_ids(np.asarray(ids.to_numpy()))
    text = ids.cast(pa.large_string()).cast(pa.large_binary())
    width = pc.max(pc.binary_length(text)).as_py() or 1
    if width > MAX_ID_BYTES:
        raise _fault(f"an id takes {width} bytes, over {MAX_ID_BYTES}", "Use shorter ids.")
    array = np.empty(len(text), dtype=f"S{width}")
    chunk = 262_144
    for start in range(0, len(text), chunk):
        array[start : start + chunk] = _as_bytes(text.slice(start, chunk).to_pylist())
    return array


def _fault(problem: str, remedy: str) -> DataError:
    return DataError(problem, where="ids", remedy=remedy)
