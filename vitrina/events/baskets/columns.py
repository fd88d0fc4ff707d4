"""How a sales file calls its columns: the names of Online Retail, near relatives of them, or what the caller says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from vitrina.errors import ConfigError, DataError

NEEDED = ("InvoiceNo", "StockCode", "Description", "CustomerID")
USED = ("InvoiceDate", "Quantity")
"""Columns that are used where they are there."""
EXAMPLE = "InvoiceNo=order_id,StockCode=sku"
REMEDY = f"A sales file has {', '.join(NEEDED)}. Where it calls them otherwise, say so: --columns {EXAMPLE}"
_ALIASES = {"invoice": "InvoiceNo"}  # Online Retail II


@dataclass(frozen=True, kw_only=True)
class BasketColumns:
    """`names`: what the file calls a column, by the column's own name; what is not in it has a usual name."""

    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Reads `--columns InvoiceNo=order_id,StockCode=sku`. `ConfigError` says which pair is wrong."""
        names: dict[str, str] = {}
        for part in text.split(",") if text else ():
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not (equals and key and value):
                raise ConfigError(f"--columns: {part.strip()!r} is no name=value pair. Write for instance {EXAMPLE}")
            if key not in NEEDED + USED:
                raise ConfigError(f"--columns: {key!r} is not one of {', '.join(NEEDED + USED)}")
            if key in names:
                raise ConfigError(f"--columns: {key} is given twice")
            names[key] = value
        return cls(names=names)

    def find(self, header: Sequence[str]) -> dict[str, str]:
        """The header's own name of each column that is there, those of NEEDED and USED; exact names go first."""
        canonical: dict[str, str] = {}
        for name in header:
            canonical.setdefault(_canonical(name), name)
        found = {}
        for column in NEEDED + USED:
            asked = self.names.get(column, column)
            name = asked if asked in header else canonical.get(_canonical(asked), "")
            if name:
                found[column] = name
        return found

    def require(self, header: Sequence[str], where: str) -> dict[str, str]:
        """As `find`; `DataError` names the columns that are missing, and those that the file has."""
        found = self.find(header)
        lost = [self.names.get(column, column) for column in NEEDED if column not in found]
        lost += [name for column, name in self.names.items() if column in USED and column not in found]
        if lost:
            shown = ", ".join(str(name) for name in header[:40]) or "none"
            raise DataError(f"no column {', '.join(lost)}; the columns are {shown}", where=where, remedy=REMEDY)
        if len(set(found.values())) < len(found):
            twice = next(name for name in found.values() if list(found.values()).count(name) > 1)
            raise DataError(f"column {twice} cannot be two things", where=where, remedy=REMEDY)
        return found


def _canonical(name: str) -> str:
    plain = "".join(letter for letter in name.casefold() if letter.isalnum())
    return _ALIASES.get(plain, plain).casefold()
