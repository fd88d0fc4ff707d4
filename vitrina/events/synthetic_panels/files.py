"""The two files of a generated panel: train_ver2.csv as the bank writes it, and panel.parquet as the reader leaves it.

Both are written block by block, so memory does not depend on the number of customers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from vitrina.events.panels.columns import PANEL_FILE, PRODUCTS, PROFILE, RAW_HEADER, month_text
from vitrina.events.synthetic_panels.rows import Block, Texts
from vitrina.events.synthetic_panels.spec import PanelSpec

RAW_FILE = "train_ver2.csv"
_TYPES = {"category": pa.string(), "flag": pa.string(), "number": pa.float64(), "date": pa.int32()}
SCHEMA = pa.schema(
    [
        pa.field("customer", pa.int64(), nullable=False),
        pa.field("month", pa.int32(), nullable=False),
        pa.field("owned", pa.uint32(), nullable=False),
        pa.field("known", pa.uint32(), nullable=False),
        *((column.name, _TYPES[column.kind]) for column in PROFILE),
    ]
)
_PADDED = {21, 22}  # products that the raw file writes two characters wide, because they can be NA


def validated(block: Block) -> pa.Table:
    """The block's rows in the schema of panel.parquet."""
    columns: dict[str, pa.Array] = {
        "customer": pa.array(block.customer),
        "month": pa.array(block.month),
        "owned": pa.array(block.owned),
        "known": pa.array(block.known),
        "age": _number(block.age()),
        "tenure_months": _number(block.tenure()),
        "income": pa.array(block.income(), mask=np.isnan(block.income())),
        "registration_date": _days(block.registration()),
        "last_date_as_primary": _days(block.left()),
    }
    for name, texts in block.texts().items():
        levels = [_plain(level) for level in texts.levels]
        columns[name] = pc.take(pa.array(levels), pa.array(texts.codes, mask=texts.codes < 0))
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def raw_lines(block: Block) -> pa.StringArray:
    """The block's rows as lines of train_ver2.csv, each with its end of line."""
    spec = block.spec
    days = [f"{month_text(spec.start + offset)}-28" for offset in range(spec.months)]
    age, tenure = block.age(), block.tenure()
    pieces = {
        "age": Texts(age, tuple(f"{one:3d}" for one in range(int(age.max(initial=0)) + 1)), " NA"),
        "tenure_months": Texts(tenure, tuple(f"{one:7d}" for one in range(int(tenure.max(initial=0)) + 1)), "     NA"),
        **block.texts(),
    }
    texts = {name: _taken(column) for name, column in pieces.items()}
    income = pa.array(block.income(), mask=np.isnan(block.income()))
    texts["income"] = pc.fill_null(income.cast(pa.string()), "")
    texts["registration_date"] = _dates(block.registration())
    texts["last_date_as_primary"] = _dates(block.left())
    portfolios, place = np.unique(block.owned | block.known.astype(np.uint64) << 24, return_inverse=True)
    products = pc.take(pa.array([_portfolio_text(int(one)) for one in portfolios]), pa.array(place))
    return pc.binary_join_element_wise(
        pc.take(pa.array(days), pa.array(block.offset)),
        pa.array(block.customer).cast(pa.string()),
        *(texts[column.name] for column in PROFILE),
        products,
        ",",
    )


@contextmanager
def raw_file(folder: Path, spec: PanelSpec) -> Iterator[list[Path]]:
    """Gives an empty file for each month; at the end they are one train_ver2.csv, months in order, under its header."""
    parts = [folder / f"month-{offset}.part" for offset in range(spec.months)]
    for part in parts:
        part.touch()
    yield parts
    with (folder / RAW_FILE).open("wb") as whole:
        whole.write((",".join(f'"{name}"' for name in RAW_HEADER) + "\n").encode())
        for part in parts:
            with part.open("rb") as one:
                shutil.copyfileobj(one, whole, 1 << 20)
            part.unlink()


def append_raw(block: Block, parts: list[Path]) -> None:
    """Adds the rows of a block that is in order of months to the files of its months."""
    lines = raw_lines(block)
    ends = np.frombuffer(lines.buffers()[1], dtype=np.int32)[: len(lines) + 1]
    text = memoryview(lines.buffers()[2])
    bounds = np.searchsorted(block.offset, np.arange(len(parts) + 1))
    for part, begin, end in zip(parts, bounds[:-1], bounds[1:], strict=True):
        with part.open("ab") as file:
            file.write(text[ends[begin] : ends[end]])


@contextmanager
def parquet_file(folder: Path) -> Iterator[parquet.ParquetWriter]:
    """Gives the writer of panel.parquet."""
    with ExitStack() as stack:
        yield stack.enter_context(parquet.ParquetWriter(folder / PANEL_FILE, SCHEMA, compression="zstd"))


def _plain(text: str) -> str:
    text = text.strip().strip('"')
    return text.removesuffix(".0")


def _taken(column: Texts) -> pa.StringArray:
    levels = pa.array([*column.levels, column.nothing])
    return pc.take(levels, pa.array(np.where(column.codes < 0, len(column.levels), column.codes)))


def _number(values: NDArray[np.int64]) -> pa.Array:
    return pa.array(values.astype(np.float64), mask=values < 0)


def _days(days: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(days.astype(np.int64).astype(np.int32), mask=np.isnat(days))


def _dates(days: NDArray[np.datetime64]) -> pa.StringArray:
    return pc.fill_null(pa.array(days).cast(pa.string()), "")


def _portfolio_text(masks: int) -> str:
    owned, known = masks & 0xFFFFFF, masks >> 24
    texts = []
    for place in range(len(PRODUCTS)):
        text = str(owned >> place & 1) if known >> place & 1 else "NA"
        texts.append(f"{text:>2}" if place in _PADDED else text)
    return ",".join(texts) + "\n"
