"""A panel file's text -> typed rows, each with the first fault that it has. Plain SQL, in the pass that reads the file.

Padding is cut, an empty value and NA mean that there is none, and a whole number is one value however it is written
(` 1`, `1`, `1.0`: train_ver2.csv mixes them in one column; offices write `1,0`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.panels.columns import (
    CUSTOMER_COLUMN,
    MONTH_COLUMN,
    NAME_OF,
    NAMED_HEADER,
    PRODUCT_COLUMN,
    PRODUCTS,
    PROFILE,
    RAW_OF,
    month_text,
)
from vitrina.events.sources import DataFile
from vitrina.events.staging import RawTable, named, open_table
from vitrina.events.validation import OTHER_REMEDY

MONTH, CUSTOMER = MONTH_COLUMN[1], CUSTOMER_COLUMN[1]
FORMATS = "['%Y-%m-%d', '%d-%m-%Y', '%Y-%m-%d %H:%M:%S']"
EARLIEST_MONTH, LATEST_YEAR, EARLIEST_YEAR = "1995-01", 2100, 1900
SHAPES = (
    "A panel has the 48 columns of train_ver2.csv (or their names in requests); an acquisitions extract has "
    f"{MONTH_COLUMN[0]}, {CUSTOMER_COLUMN[0]} and {PRODUCT_COLUMN}."
)
NUMBERS = "Write numbers as 138098.06 or 138098,06: without marks between thousands, which 138,098 might have."
DATES = "Write dates as 2015-01-28 or 28-01-2015."


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`test` and `value` are SQL; `reason` names the column."""

    test: str
    reason: str
    value: str
    remedy: str = OTHER_REMEDY


@dataclass(frozen=True, kw_only=True)
class PanelTable:
    """A file whose columns are known: `text` is the table of cleaned text columns by request name, `header` says what
    the file calls each. `extract`: its rows are acquisitions."""

    text: RawTable
    header: Mapping[str, str]
    extract: bool


def open_panel(file: DataFile, engine: LocalEngine) -> PanelTable:
    """Finds the columns by either of their names; `DataError` names what is missing, unknown or there twice."""
    found = list(open_table(file, engine, {}, SHAPES).header)
    where = f"{file.name}, row 1" if file.format == "csv" else file.name
    extract = PRODUCT_COLUMN in found and not any(NAME_OF.get(name, "").startswith("ind_1m_") for name in found)
    needed = [MONTH, CUSTOMER, PRODUCT_COLUMN] if extract else list(NAMED_HEADER)
    header: dict[str, str] = {}
    for name in found:
        known = PRODUCT_COLUMN if extract and name == PRODUCT_COLUMN else NAME_OF.get(name)
        if known in header:
            raise DataError(f"{name} and {header[known]} are one column", where=where, remedy="Remove one of them.")
        if known in needed:
            header[known] = name
    unknown = [name for name in found if name not in header.values()]
    if lost := [_both(name) for name in needed if name not in header]:
        shown = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        raise DataError(f"no column {shown}{_found(unknown, lost)}", where=where, remedy=SHAPES)
    if unknown:
        raise DataError(
            f"{', '.join(map(repr, unknown[:5]))} is no column of "
            f"{'an acquisitions extract' if extract else 'a panel'}",
            where=where,
            remedy=f"Remove or rename it. {SHAPES}",
        )
    table = open_table(file, engine, header, SHAPES)
    texts = ", ".join(f"{_clean(table.columns[name].text)} AS {named(name)}" for name in needed)
    return PanelTable(
        text=replace(table, rows=f"(SELECT {texts} FROM {table.rows})"),  # noqa: S608 - names are quoted
        header=header,
        extract=extract,
    )


def _both(name: str) -> str:
    raw = RAW_OF.get(name, name)
    return name if raw == name else f"{raw} (or {name})"


def _found(unknown: Sequence[str], lost: Sequence[str]) -> str:
    """What the file has instead."""
    if not unknown:
        return ""
    near = get_close_matches(lost[0].partition(" ")[0], unknown, n=1)
    return f"; {near[0]!r} may be meant for it" if near else f"; the unknown columns are {', '.join(unknown[:60])}"


def _clean(text: str) -> str:
    text = f"nullif({text}, 'NA')"
    whole = f"left({text}, -2)"
    is_whole = f"right({text}, 2) IN ('.0', ',0') AND try_cast({whole} AS BIGINT) IS NOT NULL"
    return f"CASE WHEN {is_whole} THEN {whole} ELSE {text} END"


def panel_columns(table: PanelTable, as_of_month: int | None) -> tuple[dict[str, str], list[Fault]]:
    """SQL of the staged columns of a panel (`customer`, `month`, `owned`, `known`, PROFILE), and its faults."""
    columns, faults = _key(table, as_of_month)
    profile = {}
    for column in PROFILE:
        text, shown = named(column.name), table.header[column.name]
        if column.kind == "number":
            number = _number(text)
            profile[column.name] = f"CASE WHEN isfinite({number}) THEN {number} END"
            test = f"NOT coalesce(isfinite({number}), {text} IS NULL)"
            faults.append(Fault(test=test, reason=f"{shown} is not a number", value=text, remedy=NUMBERS))
        elif column.kind == "date":
            day = _day(text)
            profile[column.name] = f"({day}::DATE - DATE '1970-01-01')::INTEGER"
            faults += _date_faults(text, day, shown, f"year({day}) NOT BETWEEN {EARLIEST_YEAR} AND {LATEST_YEAR - 1}")
        else:
            profile[column.name] = text
    owned, known = [], []
    for place, product in enumerate(PRODUCTS):
        text, shown = named(product.column), table.header[product.column]
        owned.append(f"CASE WHEN {text} = '1' THEN {1 << place}::UINTEGER ELSE 0::UINTEGER END")
        known.append(f"CASE WHEN {text} IS NULL THEN 0::UINTEGER ELSE {1 << place}::UINTEGER END")
        faults.append(Fault(test=f"{text} NOT IN ('0', '1')", reason=f"{shown} is not 0, 1 or NA", value=text))
    columns |= {"owned": " | ".join(owned), "known": " | ".join(known), **profile}
    return columns, faults


def acquisition_columns(table: PanelTable, as_of_month: int | None) -> tuple[dict[str, str], list[Fault]]:
    """SQL of the staged columns of an acquisitions extract (`customer`, `month`, `owned`: one bit), and its faults."""
    columns, faults = _key(table, as_of_month)
    text, shown = named(PRODUCT_COLUMN), table.header[PRODUCT_COLUMN]
    cases = " ".join(
        f"WHEN {text} IN ('{product.code}', '{product.column}') THEN {1 << place}::UINTEGER"
        for place, product in enumerate(PRODUCTS)
    )
    bit = f"CASE {cases} END"
    codes = ", ".join(product.code for product in PRODUCTS)
    faults.append(
        Fault(
            test=f"{bit} IS NULL",
            reason=f"{shown} is no known product",
            value=text,
            remedy=f"The products are {codes}, or their names in requests.",
        )
    )
    return {**columns, "owned": bit}, faults


def with_faults(columns: Mapping[str, str], faults: Iterable[Fault]) -> dict[str, str]:
    """The columns, the first `fault` of the row (null for a good one) and the `value` at fault."""
    tests = [(one.test, one.reason.replace("'", "''"), one.value) for one in faults]
    return {
        **columns,
        "fault": f"CASE {' '.join(f'''WHEN {test} THEN '{reason}' ''' for test, reason, _ in tests)} END",
        "value": f"CASE {' '.join(f'WHEN {test} THEN {value}' for test, _, value in tests)} END",
    }


def _key(table: PanelTable, as_of_month: int | None) -> tuple[dict[str, str], list[Fault]]:
    customer, month = named(CUSTOMER), named(MONTH)
    number = f"try_cast({customer} AS BIGINT)"
    day = _day(month)
    place = f"(year({day}) * 12 + month({day}) - 1)::INTEGER"
    shown = table.header
    first, last = (int(EARLIEST_MONTH[:4]) * 12, LATEST_YEAR * 12 - 1)
    faults = [
        Fault(test=f"{customer} IS NULL", reason=f"{shown[CUSTOMER]} is empty", value=customer),
        Fault(
            test=f"coalesce({number}::VARCHAR <> {customer}, true)",
            reason=f"{shown[CUSTOMER]} is not an integer",
            value=customer,
        ),
        Fault(test=f"{month} IS NULL", reason=f"{shown[MONTH]} is empty", value=month),
        *_date_faults(month, day, shown[MONTH], f"{place} NOT BETWEEN {first} AND {last}", EARLIEST_MONTH),
    ]
    if as_of_month is not None:
        faults.append(
            Fault(
                test=f"{place} > {as_of_month}",
                reason=f"{shown[MONTH]} is after {month_text(as_of_month)}",
                value=month,
                remedy="Cut the file at that month, or give a later one.",
            )
        )
    return {"customer": number, "month": place}, faults


def _number(text: str) -> str:
    """A number with a decimal point, or with a comma that cannot stand between thousands."""
    comma = f"regexp_full_match({text}, '[+-]?[0-9]+,([0-9]{{1,2}}|[0-9]{{4,}})')"
    return f"try_cast(CASE WHEN {comma} THEN replace({text}, ',', '.') ELSE {text} END AS DOUBLE)"


def _day(text: str) -> str:
    return f"try_strptime({text}, {FORMATS})"


def _date_faults(text: str, day: str, shown: str, outside: str, earliest: str = str(EARLIEST_YEAR)) -> list[Fault]:
    return [
        Fault(test=f"{day} IS NULL AND {text} IS NOT NULL", reason=f"{shown} is not a date", value=text, remedy=DATES),
        Fault(
            test=outside, reason=f"{shown} is before {earliest} or after {LATEST_YEAR - 1}", value=text, remedy=DATES
        ),
    ]
