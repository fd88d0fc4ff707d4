"""CSV files of ids that the caller hands over: (user, item) pairs to score, users to make lists for."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

from vitrina.errors import DataError
from vitrina.events.ids import IdMap

USER_COLUMNS: Final = ("user", "user_id", "userid", "visitorid", "visitor_id", "customer_id", "customerid", "client_id")
ITEM_COLUMNS: Final = ("item", "item_id", "itemid", "product_id", "productid", "sku", "asin", "stockcode")
NO_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {}
DELIMITERS: Final = (",", ";", "\t")


def read_users(path: Path, users: IdMap) -> list[int | str]:
    """The users of a CSV file in their order, in the type of `users`, which need not know them.

    The header names the column as one of USER_COLUMNS. `DataError` as of `id_rows`, and for an ill-typed id.
    """
    read = id_reader(users, "user")
    found = [read(user, f"{path}, row {row}") for row, (user,) in id_rows(path, {"user": USER_COLUMNS})]
    if not found:
        raise DataError("it has a header and no rows", where=str(path), remedy="Give at least one user, one a line.")
    return found


def id_rows(
    path: Path, columns: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]] = NO_COLUMNS
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(row, fields) of each line of a CSV (also .gz; comma, semicolon or tab); row 1 is the header, others follow.

    columns: the accepted names of each wanted column by what it holds, whose case, blanks and underscores do not
    matter; fields of `optional` ones follow, empty where the file has none; other columns are passed over. `DataError`
    with file and row for a missing column or field, or a file that is not readable.
    """
    row = 1
    try:
        with _open(path) as file:
            header = file.readline()
            delimiter = max(DELIMITERS, key=header.count)
            names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
            places = [_required(path, names, accepted, what) for what, accepted in columns.items()]
            others = [_place(names, accepted) for accepted in optional.values()]
            for row, fields in enumerate(csv.reader(file, delimiter=delimiter), start=2):
                if not fields:
                    continue
                if len(fields) <= max(places):
                    problem = f"{len(fields)} fields where the header has {len(names)}"
                    raise DataError(problem, where=f"{path}, row {row}", remedy="Complete the row.")
                more = ("" if place is None or place >= len(fields) else fields[place] for place in others)
                yield row, (*(fields[place] for place in places), *more)
    except (OSError, EOFError, zlib.error) as error:
        remedy = "Check the path; if it is compressed, write it again."
        raise DataError(f"it cannot be read ({error})", where=str(path), remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8 text", where=f"{path}, after row {row}", remedy="Save it as UTF-8.") from error
    except csv.Error as error:
        raise DataError(
            f"it is not CSV ({error})", where=f"{path}, after row {row}", remedy="Write the row again."
        ) from error


def id_reader(ids: IdMap, name: str) -> Callable[[str, str], int | str]:
    """Turns (field, where it stands) into an id of the map's type; `DataError` when it is empty or of another type."""

    def read(field: str, where: str) -> int | str:
        text = field.strip()
        if not text:
            raise DataError(f"the {name} is empty", where=where, remedy="Remove the row or fill it in.")
        if ids.kind == "str":
            return text
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not -(2**63) <= number < 2**63:
            remedy = "Use the ids that the model was trained on."
            raise DataError(
                f"{name} {text[:40]!r} is not an integer, but the model's ids are", where=where, remedy=remedy
            )
        return number

    return read


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _place(names: list[str], accepted: tuple[str, ...]) -> int | None:
    """Where the header has the first of the accepted names that it has."""
    plain = [_plain(name) for name in names]
    return next((plain.index(name) for name in map(_plain, accepted) if name in plain), None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _required(path: Path, names: list[str], accepted: tuple[str, ...], what: str) -> int:
    place = _place(names, accepted)
    if place is None:
        found = ", ".join(names)[:120] or "nothing"
        remedy = f"Name it {', '.join(accepted[:-1])} or {accepted[-1]}."
        raise DataError(f"the header ({found}) names no {what} column", where=f"{path}, row 1", remedy=remedy)
    return place
