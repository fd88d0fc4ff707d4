"""Sales in a folder and on a real S3 server: what is uploaded is what is read, and which file that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.baskets.raw import RawBaskets, open_raw_baskets
from vitrina.events.baskets.reader import read_baskets
from vitrina.storage.s3_bucket import S3Access

Place = Callable[..., RawBaskets]
ROW = "536365,10002,PEN,6,2010-12-01 08:26:00,2.5,17850.0,UK"


@pytest.fixture(params=["folder", "s3"])
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Opens the same empty place every time, or a file of it."""
    if request.param == "folder":
        return lambda name="": open_raw_baskets(str(tmp_path / "raw" / name) if name else str(tmp_path / "raw"))
    server = request.getfixturevalue("s3")
    access = S3Access(endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key)
    uri = f"s3://{server.bucket()}/shop"
    return lambda name="": open_raw_baskets(f"{uri}/{name}" if name else uri, access=access, cache=tmp_path / "cache")


@pytest.fixture
def put(engine: LocalEngine) -> Callable[..., dict[str, object]]:
    def send(place: RawBaskets, source: Path, columns: str | None = None) -> dict[str, object]:
        return place.put(source, columns, engine, lambda what, done, of: None)

    return send


def test_what_is_uploaded_is_what_is_read(
    write_book: Callable[..., Path], open_place: Place, put: Callable[..., dict[str, object]], engine: LocalEngine,
    tmp_path: Path,
) -> None:  # fmt: skip
    assert open_place().listing() == {"file": None, "bytes": None, "fingerprint": None}
    header = ["InvoiceNo", "StockCode", "Description", "CustomerID"]
    book = write_book({"S": [header, [1, 10002, "PEN", 7]]}, name="export of May.xlsx")
    told = put(open_place(), book)
    assert (told["file"], told["sent"], told["bytes"]) == ("baskets.xlsx", 1, book.stat().st_size)
    again = put(open_place(), book)
    assert (again["sent"], again["fingerprint"]) == (0, told["fingerprint"])
    assert open_place().fetch(tmp_path / "fetched").name == "baskets.xlsx"
    assert read_baskets(tmp_path / "fetched", tmp_path / "out", engine).baskets == 1
    write_book({"S": [header, [1, 10002, "PEN", 7], [2, 10003, "INK", 7]]}, name=book.name)
    changed = put(open_place(), book)
    assert (changed["sent"], changed["fingerprint"] == told["fingerprint"]) == (1, False)


def test_known_names_are_kept_and_an_address_may_name_the_file(
    write_sales: Callable[..., Path], open_place: Place, put: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    told = put(open_place(), write_sales([ROW], name="shop/OnlineRetail.csv"))
    assert told["file"] == "OnlineRetail.csv"
    assert open_place("OnlineRetail.csv").listing()["fingerprint"] == told["fingerprint"]
    with pytest.raises(DataError, match=r"there are no sales|no such file"):
        open_place("sales.xlsx").fetch(tmp_path / "fetched")
    open_place().raw.upload(write_sales([ROW], name="sales.csv"), "sales.csv")
    with pytest.raises(DataError, match=r"sales.csv lies there, and is read before OnlineRetail.csv"):
        put(open_place(), write_sales([ROW], name="shop/OnlineRetail.csv"))


def test_what_is_no_sales_file_is_refused_before_it_is_sent(
    write_sales: Callable[..., Path], open_place: Place, put: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    path = write_sales(["1,10002,PEN,7"], header="order,sku,Description,CustomerID")
    with pytest.raises(DataError, match="no column InvoiceNo, StockCode"):
        put(open_place(), path)
    with pytest.raises(ConfigError, match="--columns"):
        put(open_place(), path, "order")
    assert open_place().raw.files() == []
    assert put(open_place(), path, "InvoiceNo=order,StockCode=sku")["sent"] == 1
    with pytest.raises(DataError, match="no such file"):
        put(open_place(), tmp_path / "nowhere.csv")


@pytest.mark.parametrize("name", ["nosuch.xlsx", "nosuch.csv", "nosuch"])
def test_a_path_that_names_nothing_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder") as raised:
        open_raw_baskets(str(tmp_path / name)).fetch(tmp_path / "copy")
    assert raised.value.where == str(tmp_path / name)
    assert open_raw_baskets(str(tmp_path / name)).listing()["fingerprint"] is None
