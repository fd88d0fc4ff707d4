"""Raw events by day, in a folder and on a real S3 server: what is uploaded is what is read, and no later day."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.raw_events import Listing, RawEvents, before, lies_by_days, open_raw_events
from vitrina.events.readers import read_log
from vitrina.events.upload import upload
from vitrina.storage.s3_bucket import S3Access

DAY = 86_400_000
FIRST = 1_430_611_200_000  # 2015-05-03
ROWS = [
    (FIRST + day * DAY + 1000 * n, 1 + n, ("view", "addtocart")[n % 2], 10 + day) for day in range(3) for n in range(40)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    lines = [
        "timestamp,visitorid,event,itemid,transactionid",
        *(f"{ts},{user},{event},{item}," for ts, user, event, item in ROWS),
    ]
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    (folder / "category_tree.csv").write_text("categoryid,parentid\n1,\n")
    return folder


@pytest.fixture(params=["folder", "s3"])
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], RawEvents]:
    """Opens the same empty place every time."""
    if request.param == "folder":
        return lambda: open_raw_events(str(tmp_path / "raw"))
    server = request.getfixturevalue("s3")
    access = S3Access(endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key)
    uri = f"s3://{server.bucket()}/storefront"
    return lambda: open_raw_events(uri, access=access, cache=tmp_path / "cache")


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine(memory_limit="500MB", threads=1)


def read(folder: Path, out: Path, engine: LocalEngine, columns: ColumnMap | None = None) -> list[tuple[int, int, int]]:
    read_log(folder, columns, out, engine)
    table = pq.read_table(out / "events.parquet").to_pylist()
    return [(row["ts"], row["user_id"], row["item_id"]) for row in table]


def test_what_is_uploaded_is_what_is_read(
    log: Path, open_place: Callable[[], RawEvents], engine: LocalEngine, tmp_path: Path
) -> None:
    with engine:
        told = upload(log, None, open_place(), engine)
        assert (told["days"], told["rows"], told["sent"], told["newest_day"]) == (3, 120, 4, "2015-05-05")
        again = upload(log, None, open_place(), engine)
        assert (again["sent"], again["fingerprint"]) == (0, told["fingerprint"])
        place = open_place()
        place.fetch(place.files(), tmp_path / "fetched")
        whole = read(log, tmp_path / "whole", engine)
        assert read(tmp_path / "fetched", tmp_path / "days", engine) == whole
        assert len(whole) == 120
    assert pq.read_table(tmp_path / "fetched" / "events" / "dt=2015-05-03").column_names[:5] == [
        "timestamp",
        "visitorid",
        "event",
        "itemid",
        "transactionid",
    ]


def test_only_days_before_as_of_are_taken(log: Path, open_place: Callable[[], RawEvents], engine: LocalEngine) -> None:
    with engine:
        upload(log, None, open_place(), engine)
    files = open_place().files()
    assert Listing.of(files).days == ("2015-05-03", "2015-05-04", "2015-05-05")
    for as_of, days in ((FIRST + DAY, 1), (FIRST + DAY + 1, 2), (FIRST, 0), (None, 3)):
        chosen = before(files, as_of)
        assert len(Listing.of(chosen).days) == days
        assert "category_tree.csv" in {file.name for file in chosen}


def test_a_changed_day_changes_the_fingerprint(
    log: Path, open_place: Callable[[], RawEvents], engine: LocalEngine
) -> None:
    with engine:
        told = upload(log, None, open_place(), engine)
        with (log / "events.csv").open("a") as file:
            file.write(f"{FIRST + 5},77,view,10,\n")
        changed = upload(log, None, open_place(), engine)
    assert changed["sent"] == 1
    assert changed["fingerprint"] != told["fingerprint"]


def test_columns_travel_with_the_events(
    open_place: Callable[[], RawEvents], engine: LocalEngine, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text("ts,who,what,did\n2024-03-01T10:00:00,a,x,look\n2024-03-02T10:00:00,b,y,buy\n")
    columns = "user=who,item=what,event=did,timestamp=ts,event.view=look,event.transaction=buy"
    with engine:
        upload(tmp_path / "log.csv", columns, open_place(), engine)
        place = open_place()
        place.fetch(place.files(), tmp_path / "fetched")
        mapping = ColumnMap.load(str(tmp_path / "fetched" / "columns.yaml"))
        assert mapping == ColumnMap.parse(columns)
        assert [row[1:] for row in read(tmp_path / "fetched", tmp_path / "out", engine, mapping)] == [
            ("a", "x"),
            ("b", "y"),
        ]


def test_a_fault_names_the_day_and_the_row(engine: LocalEngine, tmp_path: Path) -> None:
    for day in (3, 4):
        folder = tmp_path / "raw" / "events" / f"dt=2015-05-0{day}"
        folder.mkdir(parents=True)
        lines = [f"{FIRST + day * DAY + n},{n},{'view' if day == 3 or n != 7 else 'vieuw'},5" for n in range(20)]
        (folder / "part.csv").write_text("\n".join(["timestamp,visitorid,event,itemid", *lines]) + "\n")
    assert lies_by_days(str(tmp_path / "raw"))
    with engine, pytest.raises(DataError, match=r"dt=2015-05-04/part.csv, row 9: unknown event"):
        read_log(tmp_path / "raw", None, tmp_path / "out", engine)


def test_a_damaged_day_is_named(engine: LocalEngine, tmp_path: Path, log: Path) -> None:
    place = open_raw_events(str(tmp_path / "raw"))
    with engine:
        upload(log, None, place, engine)
        day = tmp_path / "raw" / "events" / "dt=2015-05-04" / "events.parquet"
        day.write_bytes(day.read_bytes()[:-30])
        with pytest.raises(DataError, match="dt=2015-05-04"):
            read_log(tmp_path / "raw", None, tmp_path / "out", engine)


def test_folders_that_are_no_days_are_refused(tmp_path: Path) -> None:
    (tmp_path / "events" / "dt=2015-02-30").mkdir(parents=True)
    (tmp_path / "events" / "dt=2015-02-30" / "x.csv").write_text("x")
    with pytest.raises(DataError, match="2015-02-30"):
        open_raw_events(str(tmp_path)).files()
    with pytest.raises(ConfigError, match="VITRINA_S3_ACCESS_KEY"):
        open_raw_events("s3://bucket/x")


def test_a_day_that_was_changed_in_the_store_behind_its_checksum_is_refused(
    s3, log: Path, engine: LocalEngine, tmp_path: Path
) -> None:
    bucket = s3.bucket()
    access = S3Access(endpoint=s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key)
    place = open_raw_events(f"s3://{bucket}/a", access=access, cache=tmp_path / "cache")
    with engine:
        upload(log, None, place, engine)
    key = "a/events/dt=2015-05-04/events.parquet"
    client = s3.client()
    found = client.get_object(Bucket=bucket, Key=key)
    content = bytearray(found["Body"].read())
    content[len(content) // 2] ^= 1
    client.put_object(Bucket=bucket, Key=key, Body=bytes(content), Metadata=found["Metadata"])
    with pytest.raises(DataError, match="dt=2015-05-04"):
        place.fetch(place.files(), tmp_path / "fetched")
    assert json.dumps(Listing.of(place.files()).as_json())
