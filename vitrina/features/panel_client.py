"""A bank's client as a request tells it -> the inputs of a propensity model, as a row of the panel gives them.

Strict about what a caller got wrong (a column that is none, a value of another type, a date that is none), lenient
about what data lack: anything may be absent or null, and a category may be new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.errors import RequestError
from vitrina.events.panels.columns import NAME_OF, PRODUCTS, PROFILE, month_text
from vitrina.features.panel_features import PanelInputs
from vitrina.features.panel_history import Masks, client_lags
from vitrina.features.panel_profile import ProfileEncoding, Value

HISTORY: Final = "history"
MOST_HISTORY: Final = 24
LARGEST: Final = 999_999_999_999_999
"""Of a number, and of the digits before the point in the text of one."""
PADDING: Final = " \t\r\n"
NO_VALUE: Final = ("", "NA")
NUMBER: Final = r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?"
DATE: Final = r"[0-9]{2}-[0-9]{2}-(19|20)[0-9]{2}|(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}"
"""Numbers and dates as text, within the padding."""

_NUMBER: Final = re.compile(NUMBER)
_DATE: Final = re.compile(DATE)
_WHOLE: Final = re.compile(r"[+-]?[0-9]+\.0")
_UNIX: Final = date(1970, 1, 1).toordinal()
_SHOWN: Final = 60
_NEAR: Final = 0.8
"""How alike a name must be to be suggested: `ind_1m_xx` is not `ind_1m_loans` (0.67), `agee` is `age` (0.86)."""


class Client(NamedTuple):
    """A client at a month: portfolio, which products are told at all, profile by request name (dates as days since
    1970; what is not known is absent), and the same of earlier months: `months` int32, `portfolios` and `told` uint32
    (rows,)."""

    month: int
    owned: int
    known: int
    profile: Mapping[str, Value]
    months: npt.NDArray[np.int32]
    portfolios: Masks
    told: Masks


def read_client(document: object, *, default_month: int) -> Client:
    """The client of a request's JSON object, whose columns have the names of requests or those of train_ver2.csv.

    Without `fetch_date` the month is `default_month`, and no month of the history may be that or later.
    `RequestError` names the field as the caller wrote it.
    """
    if not isinstance(document, dict):
        raise RequestError("not a JSON object", field="body", remedy='Send a client, for example {"age": 35}')
    own = {name: value for name, value in document.items() if name != HISTORY}
    month, owned, known, profile = _row(own, "")
    earlier = [_earlier(row, f"{HISTORY}.{place}") for place, row in enumerate(_history(document))]
    newest = max((row.month for row in earlier if row.month is not None), default=None)
    if month is None and newest is not None and newest >= default_month:
        raise RequestError(
            f"{month_text(newest)} is not before the client's month, which is {month_text(default_month)} "
            "without fetch_date",
            field=HISTORY,
            remedy="Send the client's own month as fetch_date",
        )
    return Client(
        month=default_month if month is None else month,
        owned=owned,
        known=known,
        profile=profile,
        months=np.array([row.month for row in earlier], np.int32),
        portfolios=np.array([row.owned for row in earlier], np.uint32),
        told=np.array([row.known for row in earlier], np.uint32),
    )


def client_inputs(client: Client, encoding: ProfileEncoding) -> PanelInputs:
    """The inputs of one row. `RequestError` for a month of the history that is not earlier, or is there twice."""
    past = client_lags(
        client.month,
        client.owned,
        client.months,
        client.portfolios,
        known=client.known,
        portfolios_known=client.told,
    )
    return PanelInputs(profile=encoding.encode_client(client.profile, client.month), past=past)


class _Row(NamedTuple):
    month: int | None
    owned: int
    known: int
    profile: dict[str, Value]


class _Column(NamedTuple):
    """`name` in requests; `read` gives None for what is no value; `bit` of a product, else 0."""

    name: str
    read: Callable[[Any, str], Any]
    bit: int = 0


def _row(document: Mapping[str, Any], place: str) -> _Row:
    """`place` is what stands before a column's name in an error."""
    month: int | None = None
    owned = known = 0
    profile: dict[str, Value] = {}
    for told, value in document.items():
        column = _COLUMNS.get(told)
        if column is None:
            raise _no_column(told, place)
        if value is None:
            continue
        found = column.read(value, place + told)
        if found is None:
            continue
        if column.bit:
            known |= column.bit
            owned |= column.bit * found
        elif column.name == "fetch_date":
            month = found
        else:
            profile[column.name] = found
    if len({_COLUMNS[told].name for told in document}) < len(document):
        raise _twice(document, place)
    return _Row(month, owned, known, profile)


def _history(document: Mapping[str, Any]) -> list[Any]:
    rows = document.get(HISTORY)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise RequestError("not a list of earlier months", field=HISTORY, remedy="Send a list of objects")
    if len(rows) > MOST_HISTORY:
        raise RequestError(f"over {MOST_HISTORY} rows", field=HISTORY, remedy="Send the most recent months")
    return rows


def _earlier(row: object, place: str) -> _Row:
    if not isinstance(row, dict):
        raise RequestError("not a JSON object", field=place, remedy='Send for example {"fetch_date": "28-04-2016"}')
    found = _row(row, f"{place}.")
    if found.month is None:
        raise RequestError("missing", field=f"{place}.fetch_date", remedy="Send the month that the row tells of")
    return found


def _category(value: object, field: str) -> str | None:
    """Whole numbers are one value however they are written: 1, 1.0, "1.0"."""
    if type(value) is str:
        text = value.strip(PADDING)
        return None if text in NO_VALUE else text[:-2] if text.endswith(".0") and _WHOLE.fullmatch(text) else text
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return str(int(value)) if value.is_integer() else repr(value)
    raise RequestError("neither text nor a number", field=field, remedy="Send text, a number, or leave it out")


def _product(value: object, field: str) -> int | None:
    if type(value) is int and (value == 0 or value == 1):
        return value
    text = None if isinstance(value, bool | list | dict) else _category(value, field)
    if text == "0" or text == "1":
        return int(text)
    if type(value) is str and text is None:
        return None
    raise RequestError("not 0 or 1", field=field, remedy="Send 0 or 1, or leave out what is not known")


def _number(value: object, field: str) -> float | None:
    if type(value) is str:
        text = value.strip(PADDING)
        if text in NO_VALUE:
            return None
        if _NUMBER.fullmatch(text):
            return float(text)
    elif (type(value) is float or type(value) is int) and -LARGEST <= value <= LARGEST:
        return float(value)
    problem = "neither a number of at most 15 digits nor text of one"
    raise RequestError(problem, field=field, remedy="Send a number, or leave it out")


def _day(value: object, field: str) -> date | None:
    if type(value) is str:
        text = value.strip(PADDING)
        if text in NO_VALUE:
            return None
        if _DATE.fullmatch(text):
            parts = text.split("-") if text[2] != "-" else text.split("-")[::-1]
            try:
                return date(*map(int, parts))
            except ValueError:  # the 31st of February; the error below tells it
                pass
    raise RequestError(
        "not a date of 1900 to 2099", field=field, remedy="Send text such as 28-05-2016, or leave it out"
    )


def _days(value: object, field: str) -> int | None:
    day = _day(value, field)
    return None if day is None else day.toordinal() - _UNIX


def _month(value: object, field: str) -> int | None:
    day = _day(value, field)
    return None if day is None else day.year * 12 + day.month - 1


def _no_column(told: str, place: str) -> RequestError:
    near = get_close_matches(told.lower(), _COLUMNS, n=1, cutoff=_NEAR) if len(told) <= _SHOWN else []
    remedy = f"Is {near[0]} meant?" if near else "The columns are those of train_ver2.csv, or their names in requests"
    shown = told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."
    return RequestError("no column of a client", field=place + shown, remedy=remedy)


def _twice(document: Mapping[str, Any], place: str) -> RequestError:
    names: dict[str, str] = {}
    for told in document:
        if (name := _COLUMNS[told].name) in names:
            return RequestError(f"the same column as {names[name]}", field=place + told, remedy="Send one of them")
        names[name] = told
    raise AssertionError("no column is there twice")


_READERS: Final = {"category": _category, "flag": _category, "number": _number, "date": _days}
_BY_NAME: Final = {
    "fetch_date": _Column("fetch_date", _month),
    "id": _Column("id", _category),
    **{column.name: _Column(column.name, _READERS[column.kind]) for column in PROFILE},
    **{product.column: _Column(product.column, _product, 1 << place) for place, product in enumerate(PRODUCTS)},
}
_COLUMNS: Final = {told: _BY_NAME[name] for told, name in NAME_OF.items()}
