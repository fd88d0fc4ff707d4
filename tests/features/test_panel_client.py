"""A request's client has the inputs of the panel's row that it was made from; what a caller got wrong is named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrina.engine import LocalEngine
from vitrina.errors import RequestError
from vitrina.events.panels.columns import (
    ALL_KNOWN,
    NAME_OF,
    NAMED_HEADER,
    PRODUCTS,
    PROFILE,
    RAW_HEADER,
    month_of,
)
from vitrina.events.panels.panel import Panel
from vitrina.events.panels.reader import read_panel
from vitrina.features.panel_client import MOST_HISTORY, client_inputs, read_client
from vitrina.features.panel_features import PanelInputs, panel_inputs
from vitrina.features.panel_history import NEVER
from vitrina.features.panel_profile import ProfileEncoding

Document = dict[str, Any]
MAY = 2016 * 12 + 4
KINDS = {column.name: column.kind for column in PROFILE}


def as_sent(row: dict[str, str]) -> Document:
    """A row of train_ver2.csv as a careful client sends it: own names, numbers, dates dd-mm-yyyy, null for nothing."""
    sent: Document = {}
    for raw, text in row.items():
        name, text = NAME_OF[raw], text.strip()
        kind = "number" if name in {product.column for product in PRODUCTS} else KINDS.get(name)
        if text in ("", "NA"):
            sent[name] = None
        elif kind == "number":
            sent[name] = json.loads(text)
        elif kind == "date" or name == "fetch_date":
            sent[name] = date.fromisoformat(text).strftime("%d-%m-%Y")
        else:
            sent[name] = text
    return sent


FORMS: dict[str, Callable[[dict[str, str]], Document]] = {"as in the file": dict, "as a client": as_sent}


class Rows:
    """The rows of a train_ver2.csv by customer and month, and the panel that it was read into."""

    def __init__(self, path: Path, panel: Panel) -> None:
        self.panel = panel
        self.encoding = ProfileEncoding.fit(panel, np.arange(len(panel)))
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        self.of = {(int(one["ncodpers"]), month_of(date.fromisoformat(one["fecha_dato"]))): one for one in rows}

    def at(self, row: int) -> dict[str, str]:
        return self.of[int(self.panel.customer[row]), int(self.panel.month[row])]

    def document(self, row: int, form: Callable[[dict[str, str]], Document]) -> Document:
        """With all earlier rows of the customer as its history."""
        first = self.panel.rows_of(int(self.panel.customer[row])).start
        return {**form(self.at(row)), "history": [form(self.at(earlier)) for earlier in range(row - 1, first - 1, -1)]}

    def answer(self, document: Document) -> PanelInputs:
        return client_inputs(read_client(document, default_month=MAY), self.encoding)


@pytest.fixture(scope="module")
def rows(bank_csv: Path, bank_panel: Panel) -> Rows:
    return Rows(bank_csv, bank_panel)


def same(one: PanelInputs, other: PanelInputs) -> None:
    np.testing.assert_array_equal(one.profile, other.profile)
    assert one.profile.dtype == other.profile.dtype
    for name, left, right in zip(one.past._fields, one.past, other.past, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)
        assert left.dtype == right.dtype, name


@pytest.mark.parametrize("form", FORMS)
def test_a_request_has_the_inputs_of_its_row(rows: Rows, form: str) -> None:
    some = np.random.default_rng(4).choice(len(rows.panel), 120, replace=False)
    expected = panel_inputs(rows.panel, some, rows.encoding)
    for place, row in enumerate(some.tolist()):
        same(rows.answer(rows.document(row, FORMS[form])), expected.take(np.array([place])))
    assert (expected.past.seen > 3).any() and expected.past.changes.any(), "no past is told"


@pytest.mark.parametrize("form", FORMS)
def test_without_history_the_past_is_missing(rows: Rows, form: str) -> None:
    row = int(np.argmax(rows.panel.month == rows.panel.month.max()))
    found = rows.answer(FORMS[form](rows.at(row)))
    expected = panel_inputs(rows.panel, np.array([row]), rows.encoding)
    np.testing.assert_array_equal(found.profile, expected.profile)
    assert (found.past.owned, found.past.month) == (expected.past.owned, expected.past.month)
    assert expected.past.present.any() and not found.past.present.any() and not found.past.lag_known.any()
    assert (found.past.since == NEVER).all() and found.past.seen.tolist() == [1]


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_the_real_file_are_read_alike(data_dir: Path, tmp_path: Path, form: str) -> None:
    source = data_dir / "santander" / "train_ver2_sample.csv"
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        read_panel(source, tmp_path / "panel", engine)
        rows = Rows(source, Panel.open(tmp_path / "panel", engine))
    expected = panel_inputs(rows.panel, np.arange(len(rows.panel)), rows.encoding)
    for row in range(0, len(rows.panel), 1 + len(rows.panel) // 400):
        same(rows.answer(rows.document(row, FORMS[form])), expected.take(np.array([row])))


def test_the_order_of_the_history_does_not_matter(rows: Rows) -> None:
    row = int(rows.panel.indptr[np.argmax(np.diff(rows.panel.indptr) > 10)]) + 9
    document = rows.document(row, as_sent)
    same(rows.answer(document), rows.answer({**document, "history": document["history"][::-1]}))


def test_nothing_needs_to_be_told(rows: Rows) -> None:
    client = read_client({}, default_month=MAY)
    assert client[:4] == (MAY, 0, 0, {})
    found = client_inputs(client, rows.encoding)
    assert np.isnan(found.profile).all()
    nulls = {**dict.fromkeys(NAMED_HEADER), "history": None}
    for document in (nulls, dict.fromkeys(RAW_HEADER, " NA"), dict.fromkeys(RAW_HEADER, ""), {"history": []}):
        same(rows.answer(document), found)


def test_a_product_is_owned_not_owned_or_not_known() -> None:
    client = read_client({"ind_nomina_ult1": " 1", "ind_1m_loans": 0, "ind_1m_mortgage": None}, default_month=MAY)
    bits = {one.column: 1 << place for place, one in enumerate(PRODUCTS)}
    salary, loans = bits["ind_1m_salary_acc"], bits["ind_1m_loans"]
    assert (client.owned, client.known) == (salary, salary | loans)
    everything = read_client(dict.fromkeys((one.code for one in PRODUCTS), 1), default_month=MAY)
    assert (everything.owned, everything.known) == (ALL_KNOWN, ALL_KNOWN)


def test_a_new_category_is_a_missing_one(rows: Rows) -> None:
    same(rows.answer({"country_of_residence": "ATLANTIS", "age": 35}), rows.answer({"age": 35}))


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("28-02-2016", date(2016, 2, 28)),
        ("2016-02-29", date(2016, 2, 29)),
        (" 03-01-1900 ", date(1900, 1, 3)),
        ("31-12-2099", date(2099, 12, 31)),
    ],
)
def test_dates(written: str, day: date) -> None:
    client = read_client({"fecha_dato": written, "registration_date": written}, default_month=MAY)
    assert client.month == month_of(day)
    assert client.profile == {"registration_date": (day - date(1970, 1, 1)).days}


@pytest.mark.parametrize("column", ["province_code", "cod_prov", "ind_actividad_cliente", "gender"])
@given(number=st.integers(-(10**6), 10**6))
def test_a_whole_number_is_one_category_however_it_is_written(column: str, number: int) -> None:
    found = {
        read_client({column: written}, default_month=MAY).profile[NAME_OF[column]]
        for written in (number, float(number), str(number), f"  {number}", f"{number}.0 ")
    }
    assert found == {str(number)}


@given(number=st.floats(-999_999_999_999_998, 999_999_999_999_998))
def test_a_number_is_one_value_as_text(number: float) -> None:
    text = f"{number:.6f}"
    (one, other) = (read_client({"renta": value}, default_month=MAY).profile for value in (float(text), f"  {text} "))
    assert one == other == {"income": float(text)}


@pytest.mark.parametrize(
    ("document", "field", "problem"),
    [
        ([], "body", "not a JSON object"),
        (None, "body", "not a JSON object"),
        ("age", "body", "not a JSON object"),
        ({"age": True}, "age", "neither a number"),
        ({"age": "old"}, "age", "neither a number"),
        ({"age": "nan"}, "age", "neither a number"),
        ({"age": "1e3"}, "age", "neither a number"),
        ({"age": "1_0"}, "age", "neither a number"),
        ({"age": "٣"}, "age", "neither a number"),
        ({"renta": 1e16}, "renta", "neither a number"),
        ({"income": [1]}, "income", "neither a number"),
        ({"gender": True}, "gender", "neither text nor a number"),
        ({"sexo": {}}, "sexo", "neither text nor a number"),
        ({"ind_new_client": False}, "ind_new_client", "neither text nor a number"),
        ({"id": [17]}, "id", "neither text nor a number"),
        ({"ind_1m_loans": 2}, "ind_1m_loans", "not 0 or 1"),
        ({"ind_1m_loans": True}, "ind_1m_loans", "not 0 or 1"),
        ({"ind_1m_loans": 0.5}, "ind_1m_loans", "not 0 or 1"),
        ({"ind_pres_fin_ult1": "yes"}, "ind_pres_fin_ult1", "not 0 or 1"),
        ({"ind_pres_fin_ult1": []}, "ind_pres_fin_ult1", "not 0 or 1"),
        ({"fetch_date": 20160528}, "fetch_date", "not a date"),
        ({"fetch_date": "28.05.2016"}, "fetch_date", "not a date"),
        ({"fetch_date": "31-02-2016"}, "fetch_date", "not a date"),
        ({"fetch_date": "05-28-2016"}, "fetch_date", "not a date"),
        ({"fecha_alta": "28-05-1816"}, "fecha_alta", "not a date"),
        ({"last_date_as_primary": True}, "last_date_as_primary", "not a date"),
        ({"agee": 35}, "agee", "no column of a client"),
        ({"ind_1m_saving_acc": 1}, "ind_1m_saving_acc", "no column of a client"),
        ({"sexo": "V", "gender": "V"}, "gender", "the same column as sexo"),
        ({"gender": None, "sexo": None}, "sexo", "the same column as gender"),
        ({"history": {}}, "history", "not a list"),
        ({"history": [{}] * (MOST_HISTORY + 1)}, "history", "over 24 rows"),
        ({"history": [[]]}, "history.0", "not a JSON object"),
        ({"history": [{"age": 35}]}, "history.0.fetch_date", "missing"),
        ({"history": [{"fetch_date": None}]}, "history.0.fetch_date", "missing"),
        ({"history": [{"fecha_dato": "2016-04-28"}, {"fecha_dato": "x"}]}, "history.1.fecha_dato", "not a date"),
        ({"history": [{"fetch_date": "28-04-2016", "recibo": 1}]}, "history.0.recibo", "no column"),
        ({"history": [{"fetch_date": "28-04-2016", "ind_recibo_ult1": 3}]}, "history.0.ind_recibo_ult1", "not 0 or 1"),
        ({"history": [{"fetch_date": "28-04-2016", "history": []}]}, "history.0.history", "no column"),
        (
            {"history": [{"fetch_date": "28-05-2016"}], "fetch_date": "28-05-2016"},
            "history",
            "2016-05 is not before the client's month",
        ),
        ({"history": [{"fetch_date": "01-04-2016"}, {"fetch_date": "28-04-2016"}]}, "history", "is there twice"),
    ],
)
def test_what_is_wrong_is_named(rows: Rows, document: Any, field: str, problem: str) -> None:
    with pytest.raises(RequestError) as raised:
        rows.answer(document)
    assert raised.value.field == field
    assert raised.value.problem.startswith(problem) or problem in raised.value.problem
    assert raised.value.remedy and not raised.value.remedy.endswith(".")


@pytest.mark.parametrize(
    ("months", "says"),
    [
        (("28-05-2016",), "2016-05 is not before the client's month, 2016-05. Leave it out, or correct fetch_date"),
        (("28-03-2016", "28-07-2016"), "2016-07 is not before the client's month, 2016-05. Leave it out, or correct"),
        (("28-04-2016", "01-04-2016"), "2016-04 is there twice. Send each earlier month once"),
    ],
)
def test_a_month_that_is_no_earlier_one_is_named_with_its_own_way_out(
    rows: Rows, months: tuple[str, ...], says: str
) -> None:
    history = [{"fetch_date": month} for month in months]
    with pytest.raises(RequestError) as raised:
        rows.answer({"fetch_date": "28-05-2016", "history": history})
    assert str(raised.value).startswith(f"history: {says}")


@pytest.mark.parametrize(("newest", "shown"), [("28-05-2016", "2016-05"), ("28-06-2016", "2016-06")])
def test_a_history_that_reaches_beyond_the_training_needs_the_month_of_the_client(
    rows: Rows, newest: str, shown: str
) -> None:
    history = [{"fetch_date": "28-04-2016"}, {"fetch_date": newest}]
    with pytest.raises(RequestError) as raised:
        rows.answer({"history": history})
    assert str(raised.value) == (
        f"history: {shown} is not before the client's month, which is 2016-05 without fetch_date. "
        "Send the client's own month as fetch_date"
    )
    rows.answer({"history": history, "fetch_date": "28-07-2016"})


def test_a_misspelt_column_is_guessed() -> None:
    for far in ("ind_1m_xx", "client_xx"):
        with pytest.raises(RequestError, match=r"no column of a client\. The columns are those of train_ver2"):
            read_client({far: 1}, default_month=MAY)
    with pytest.raises(RequestError, match=r"^Age: .*\. Is age meant\?$"):
        read_client({"Age": 1}, default_month=MAY)
    with pytest.raises(RequestError, match=r"^ind_1m_saving_acc: .*\. Is ind_1m_savings_acc meant\?$"):
        read_client({"ind_1m_saving_acc": 1}, default_month=MAY)
    with pytest.raises(RequestError, match="The columns are those of train_ver2") as raised:
        read_client({"x" * 50_000: 1}, default_month=MAY)
    assert len(raised.value.field) < 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(RAW_HEADER), inner, max_size=3),
    max_leaves=8,
)
COLUMNS = st.sampled_from([*RAW_HEADER, *NAMED_HEADER, "history"])


@given(document=st.dictionaries(COLUMNS | st.text(max_size=5), JSON, max_size=8))
def test_any_json_is_read_or_refused_by_name(document: Document) -> None:
    encoding = ProfileEncoding(levels={"gender": ("V", "H")})
    field = None
    try:
        found = client_inputs(read_client(document, default_month=MAY), encoding)
    except RequestError as error:
        field = error.field
    if field is not None:
        assert field in document or (field.startswith("history") and "history" in document)
    else:
        assert found.profile.shape == (1, len(PROFILE)) and not np.isinf(found.profile).any()
        assert found.past.owned[0] & ~found.past.known[0] == 0


TEXTS = {
    "number": st.integers(-999_999, 10**9)
    | st.sampled_from([" 35", "     6", "NA", " NA", "87218.1", "-999999", "1.0"]),
    "date": st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(lambda day: day.strftime("%d-%m-%Y")),
    "category": st.text(max_size=9) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
}
TEXTS["flag"] = TEXTS["category"]
OWNED = st.sampled_from([0, 1, 0.0, 1.0, " 0", "1", "1.0", " NA", "", None])


@given(data=st.data())
def test_every_well_formed_client_is_read(data: st.DataObject) -> None:
    columns: Document = {column.name: TEXTS[column.kind] for column in PROFILE}
    columns |= {product.column: OWNED for product in PRODUCTS}
    document = data.draw(st.fixed_dictionaries({}, optional={**columns, "fetch_date": TEXTS["date"]}))
    raw = {raw: document[name] for raw, name in zip(RAW_HEADER, NAMED_HEADER, strict=True) if name in document}
    left, right = (
        client_inputs(read_client(one, default_month=MAY), ProfileEncoding(levels={})) for one in (document, raw)
    )
    same(left, right)
