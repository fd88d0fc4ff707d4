"""Generated bank panels: Santander's monthly panel for any number of customers, by laws that are known.

`PanelSpec` goes in; `generate_panel` writes train_ver2.csv, or the validated folder that reading it gives, and beside
it oracle.npz and oracle.json, which `PanelWorld.load` reads. The world tells the true chance of every acquisition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import ConfigError, DataError
from vitrina.events.panels.columns import month_text
from vitrina.events.publish import published
from vitrina.events.synthetic_panels.calibration import calibrated
from vitrina.events.synthetic_panels.files import append_raw, parquet_file, raw_file, validated
from vitrina.events.synthetic_panels.laws import N
from vitrina.events.synthetic_panels.people import FIRST_NUMBER, People, people
from vitrina.events.synthetic_panels.report import Counts
from vitrina.events.synthetic_panels.rows import Block
from vitrina.events.synthetic_panels.spec import PanelSpec
from vitrina.events.synthetic_panels.walk import Laws, Walk

__all__ = ["PanelSpec", "PanelWorld", "generate_panel"]

_SCHEMA = 1
_ORACLE = "oracle.json"
_CUSTOMERS_AT_ONCE = 16_384
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PanelWorld:
    """A generated panel without its rows: it lives any customer's life again when asked.

    Customers are named by the panel's own numbers (`ncodpers`), months are `year * 12 + month - 1`. Both are arrays
    (rows,), or one month for all. A customer or month that the panel lacks is a `ConfigError`.
    """

    spec: PanelSpec
    laws: Laws

    def customers(self) -> _Places:
        """(spec.customers,) numbers of all customers, ascending."""
        return people(self.spec, np.arange(self.spec.customers)).ncodpers

    def probabilities(self, customers: npt.ArrayLike, months: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(rows, 24) true chance that each product is 0 in this month and 1 in the next, for a customer that stays.

        It rests on what the panel shows up to the month's end: profile, portfolio, what was dropped in the last 3
        months or held 12 months ago, and the season of the next month. 0 for products that are owned.
        """
        places, offsets = self._requests(customers, months)
        out = np.zeros((len(places), N))
        for walk, requests, rows in self._visits(places, offsets):
            if (absent := ~walk.present[rows]).any():
                number, month = walk.who.ncodpers[rows[absent][0]], month_text(self.spec.start + walk.offset)
                raise ConfigError(f"customer {number} has no row in {month}: ask for a month in which it has one.")
            out[requests] = walk.chances(walk.effects())[np.searchsorted(walk.rows, rows)]
        return out

    def portfolios(
        self, customers: npt.ArrayLike, months: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
        """True portfolios (rows,), and whether the customer has a row in the month (rows,); without one it is 0."""
        places, offsets = self._requests(customers, months)
        owned, present = np.zeros(len(places), dtype=np.uint32), np.zeros(len(places), dtype=bool)
        for walk, requests, rows in self._visits(places, offsets):
            present[requests] = walk.present[rows]
            owned[requests] = np.where(present[requests], walk.masks[-1][rows], 0)
        return owned, present

    def save(self, folder: Path) -> None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in self.laws._asdict().items()}
        np.savez(folder / "oracle.npz", **arrays)
        text = json.dumps({"schema": _SCHEMA, "spec": asdict(self.spec)}, indent=2)
        (folder / _ORACLE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PanelWorld:
        """The world that `generate_panel` left in the folder; `DataError` when it is missing or of another version."""
        remedy = "Generate the panel again."
        try:
            meta = json.loads((folder / _ORACLE).read_text(encoding="utf-8"))
            if meta["schema"] != _SCHEMA:
                raise DataError(
                    f"schema {meta['schema']}, expected {_SCHEMA}", where=str(folder / _ORACLE), remedy=remedy
                )
            with np.load(folder / "oracle.npz") as stored:
                fields = {name: stored[name] for name in Laws._fields}
            return cls(PanelSpec(**meta["spec"]), Laws(**{**fields, "structure": float(fields["structure"])}))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"no oracle ({error})", where=str(folder), remedy=remedy) from error

    def _requests(self, customers: npt.ArrayLike, months: npt.ArrayLike) -> tuple[_Places, _Places]:
        """Place of each customer, and months since the panel's first."""
        numbers = np.atleast_1d(np.asarray(customers, dtype=np.int64))
        places = (numbers - FIRST_NUMBER) // 2
        inside = (places >= 0) & (places < self.spec.customers)
        real = np.where(inside, people(self.spec, np.where(inside, places, 0)).ncodpers == numbers, False)
        if not real.all():
            raise ConfigError(f"customer {numbers[~real][0]} is not in this panel: take one of `customers()`.")
        offsets = np.broadcast_to(np.asarray(months, dtype=np.int64), numbers.shape) - self.spec.start
        if ((offsets < 0) | (offsets >= self.spec.months)).any():
            first, last = month_text(self.spec.start), month_text(self.spec.end - 1)
            raise ConfigError(f"a month is outside the panel: give {first} to {last}, as year * 12 + month - 1.")
        return places, offsets

    def _visits(self, places: _Places, offsets: _Places) -> Iterator[tuple[Walk, _Places, _Places]]:
        """Walks the customers asked for, and stops where one is asked for: the walk, requests, places in the walk."""
        unique, row = np.unique(places, return_inverse=True)
        for begin in range(0, len(unique), _CUSTOMERS_AT_ONCE):
            here = np.flatnonzero((row >= begin) & (row < begin + _CUSTOMERS_AT_ONCE))
            walk = Walk(self.spec, self.laws, people(self.spec, unique[begin : begin + _CUSTOMERS_AT_ONCE]))
            for offset in range(int(offsets[here].max()) + 1):
                if offset:
                    walk.forward(walk.chances(walk.effects()))
                if len(now := here[offsets[here] == offset]):
                    yield walk, now, row[now] - begin


def generate_panel(
    spec: PanelSpec, out: Path, *, as_raw_csv: bool = False, progress: Callable[[int], None] | None = None
) -> PanelWorld:
    """Writes the panel into the folder `out`, whole or not at all, and returns its world.

    As train_ver2.csv, months in order, or as the validated folder (panel.parquet by customer and month, report.json).
    `progress` gets the number of rows written so far. The same spec gives the same bytes, and memory holds one block of
    customers. Raises `ConfigError` when `out` holds something else.
    """
    world = PanelWorld(spec, calibrated(float(spec.structure)))
    tell = progress or (lambda rows: None)
    with published(out, marker=_ORACLE) as folder:
        counts = Counts(spec)
        if as_raw_csv:
            with raw_file(folder, spec) as parts:
                for who in _blocks(spec):
                    block = Block(spec, world.laws, who, by_month=True)
                    append_raw(block, parts)
                    counts.rows += len(block.at)
                    tell(counts.rows)
        else:
            with parquet_file(folder) as writer:
                for who in _blocks(spec):
                    block = Block(spec, world.laws, who, by_month=False)
                    table = validated(block)
                    writer.write_table(table)
                    counts.add(block, table)
                    tell(counts.rows)
            counts.report().write(folder)
        world.save(folder)
    return world


def _blocks(spec: PanelSpec) -> Iterator[People]:
    for first in range(0, spec.customers, _CUSTOMERS_AT_ONCE):
        yield people(spec, np.arange(first, min(first + _CUSTOMERS_AT_ONCE, spec.customers)))
