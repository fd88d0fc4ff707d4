"""Any log becomes the same validated folder, whatever its packing, columns, ids and unit of time."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.readers import read_log
from vitrina.events.report import Report

WriteCsv = Callable[..., Path]
RETAILROCKET = "user=visitorid,item=itemid,event=event,timestamp=timestamp"


def events_of(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(folder / "events.parquet").to_pylist()]


def test_the_events_are_typed_sorted_and_counted(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    steps: list[tuple[str, float]] = []
    report = read_log(
        write_csv(event_rows[::-1]).parent,
        None,
        tmp_path / "out",
        engine,
        lambda step, share: steps.append((step, share)),
    )
    table = pq.read_table(tmp_path / "out" / "events.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "user_id": "int64", "item_id": "int64", "kind": "int8", "ts": "int64",
    }  # fmt: skip
    start, kinds = 1_429_920_000_000, {0: 2, 10: 1}
    planted = sorted((n % 5 + 100, start + n * 600_000, kinds.get(n % 20, 0), n % 7 + 1) for n in range(60))
    assert [(user, ts, kind, item) for user, item, kind, ts in events_of(tmp_path / "out")] == planted
    assert report.rows_in == report.rows_out == 60
    assert (report.users, report.items, report.duplicates, report.bots) == (5, 7, 0, 0)
    assert report.kinds == {"view": 54, "addtocart": 3, "transaction": 3}
    assert (report.first_ts, report.last_ts) == (start, start + 59 * 600_000)
    assert any("no availability filter" in text for text in report.missing)
    assert Report.read(tmp_path / "out") == report
    assert "60 of 60 rows kept" in report.summary()
    assert steps[-1] == ("done", 1.0)
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.parquet", "report.json"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def pack(csv: Path, how: str, folder: Path) -> Path:
    """The same log in another packing."""
    folder.mkdir()
    if how == "csv":
        (folder / "events.csv").write_bytes(csv.read_bytes())
    elif how == "crlf":
        (folder / "events.csv").write_bytes(csv.read_bytes().replace(b"\n", b"\r\n"))
    elif how == "bom":
        (folder / "events.csv").write_bytes(b"\xef\xbb\xbf" + csv.read_bytes())
    elif how == "gz":
        (folder / "events.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    elif how == "misnamed gz":
        (folder / "events.csv").write_bytes(gzip.compress(csv.read_bytes()))
    elif how in ("csv.zip", "zip"):
        with zipfile.ZipFile(folder / f"events.{how}", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(csv, "deep/events.csv")
    elif how == "tsv":
        (folder / "events.tsv").write_text(csv.read_text().replace(",", "\t"))
    elif how == "semicolons":
        (folder / "events.csv").write_text(csv.read_text().replace(",", ";"))
    elif how == "parquet":
        pq.write_table(pa.csv.read_csv(csv), folder / "events.parquet")
    elif how == "parquet of timestamps and floats":
        table = pa.csv.read_csv(csv)
        table = table.set_column(0, "timestamp", table["timestamp"].cast(pa.timestamp("ms")))
        table = table.set_column(1, "visitorid", table["visitorid"].cast(pa.float64()))
        pq.write_table(table, folder / "events.parquet")
    elif how == "jsonl":
        rows = pa.csv.read_csv(csv).to_pylist()
        (folder / "events.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    elif how == "jsonl.gz":
        rows = pa.csv.read_csv(csv).to_pylist()
        (folder / "events.jsonl.gz").write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    elif how == "json":
        (folder / "events.json").write_text(json.dumps(pa.csv.read_csv(csv).to_pylist(), indent=1))
    return folder


@pytest.mark.parametrize(
    "how",
    [
        "crlf", "bom", "gz", "misnamed gz", "csv.zip", "zip", "tsv", "semicolons", "parquet",
        "parquet of timestamps and floats", "jsonl", "jsonl.gz", "json",
    ],
)  # fmt: skip
def test_every_packing_gives_the_same_table(
    how: str, event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    csv = write_csv(event_rows)
    read_log(csv, None, tmp_path / "plain", engine)
    folder = pack(csv, how, tmp_path / "packed")
    read_log(folder, None, tmp_path / "out", engine)
    assert pq.read_table(tmp_path / "out" / "events.parquet") == pq.read_table(tmp_path / "plain" / "events.parquet")
    (file,) = folder.iterdir()
    read_log(file, None, tmp_path / "out", engine)
    assert pq.read_table(tmp_path / "out" / "events.parquet") == pq.read_table(tmp_path / "plain" / "events.parquet")


def test_a_zip_of_the_whole_folder_is_read_like_the_folder(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    write_csv(event_rows)
    write_csv(
        ["1429920000000,1,categoryid,7"], header="timestamp,itemid,property,value", name="log/item_properties.csv"
    )
    write_csv(["7,"], header="categoryid,parentid", name="log/category_tree.csv")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for file in (tmp_path / "log").iterdir():
            archive.write(file, f"data/{file.name}")
        archive.writestr("__MACOSX/data/._events.csv", "noise")
    report = read_log(tmp_path / "archive.zip", None, tmp_path / "out", engine)
    assert report.rows_out == 60
    assert report.properties == {"categories.parquet": 1, "tree.parquet": 1}


TIMES: dict[str, Callable[[int], str]] = {
    "ms": str,
    "s": lambda ts: str(ts // 1000),
    "us": lambda ts: str(ts * 1000),
    "ns": lambda ts: str(ts * 1_000_000),
    "date": lambda ts: datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@pytest.mark.parametrize("unit", TIMES)
def test_the_unit_of_time_is_recognised(unit: str, write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine) -> None:
    times = [1_429_920_000_000 + n * 3_600_000 for n in range(50)]
    rows = [f"u{n % 3},sku-{n % 4},{TIMES[unit](ts)}" for n, ts in enumerate(times)]
    source = write_csv(rows, header="customer,sku,ts", name="mine.csv")
    report = read_log(source, ColumnMap.parse("user=customer,item=sku,timestamp=ts"), tmp_path / "out", engine)
    assert report.time_unit == unit
    assert sorted(ts for _, _, _, ts in events_of(tmp_path / "out")) == times


@pytest.mark.parametrize(
    ("written", "ts"),
    [
        ("2015-05-03", 1_430_611_200_000),
        ("2015-05-03 10:00:00", 1_430_647_200_000),
        ("2015-05-03T12:00:00+02:00", 1_430_647_200_000),
        ("2015-05-03 10:00:00.123", 1_430_647_200_123),
        ("1430647200.123", 1_430_647_200_123),
    ],
)
def test_ways_to_write_a_time(written: str, ts: int, write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine) -> None:
    source = write_csv([f"a,b,{written}"], header="u,i,t", name="mine.csv")
    read_log(source, ColumnMap.parse("user=u,item=i,timestamp=t"), tmp_path / "out", engine)
    assert events_of(tmp_path / "out") == [("a", "b", 2, ts)]


def test_a_log_of_fifty_lines_with_other_names_and_string_ids(
    write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    names = ["click", "open", "basket", "order", "logout"]
    rows = [f'"köp, {n % 5}";S-{n % 9};{names[n % 5]};2024-03-{n % 28 + 1:02d} 12:00;x' for n in range(50)]
    source = write_csv(rows, header="customer;sku;type;when;note", name="shop/clicks.csv")
    text = (
        "user=customer,item=sku,event=type,timestamp=when,event.view=click,event.view=open,event.addtocart=basket,"
        "event.transaction=order,event.ignore=logout"
    )
    report = read_log(source.parent, ColumnMap.parse(text), tmp_path / "out", engine)
    assert (report.user_id_kind, report.item_id_kind, report.ignored, report.rows_out) == ("str", "str", 10, 40)
    assert report.kinds == {"view": 20, "addtocart": 10, "transaction": 10}
    assert ("köp, 0", "S-0", 0, 1_709_294_400_000) in events_of(tmp_path / "out")


def test_without_an_event_column_every_row_is_a_purchase_and_the_report_says_so(
    write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    source = write_csv(["1,2,2024-01-01", "1,3,2024-01-02"], header="u,i,t", name="buys.csv")
    report = read_log(source, ColumnMap.parse("user=u,item=i,event=,timestamp=t"), tmp_path / "out", engine)
    assert [kind for _, _, kind, _ in events_of(tmp_path / "out")] == [2, 2]
    assert any("every row is taken for a transaction" in note for note in report.notes)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [(["1", "20", "-3"], "int"), (["1", "07", "3"], "str"), (["1", "a", "3"], "str"), ([str(2**63), "1", "2"], "str")],
)
def test_ids_are_integers_only_when_all_are(
    ids: list[str], kind: str, write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    source = write_csv([f"u,{one},2024-01-01" for one in ids], header="u,i,t", name="buys.csv")
    report = read_log(source, ColumnMap.parse("user=u,item=i,timestamp=t"), tmp_path / "out", engine)
    assert (report.user_id_kind, report.item_id_kind) == ("str", kind)
    kept = {item for _, item, _, _ in events_of(tmp_path / "out")}
    assert kept == ({int(one) for one in ids} if kind == "int" else set(ids))


def test_a_foreign_folder_is_not_replaced(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="was not written by this step"):
        read_log(write_csv(event_rows), None, tmp_path / "home", engine)
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_the_real_extracts_are_read_whole(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    buyers = read_log(data_dir / "retailrocket", None, tmp_path / "buyers", engine)
    assert (buyers.rows_in, buyers.rows_out, buyers.users, buyers.items) == (97_381, 97_381, 2_174, 29_905)
    assert buyers.kinds == {"view": 75_374, "addtocart": 12_456, "transaction": 9_551}
    assert (buyers.bots, buyers.rejected) == (0, {})
    assert any("of no use yet" in note for note in buyers.notes)
    raw = read_log(data_dir / "retailrocket-raw-sample", None, tmp_path / "raw", engine)
    assert (raw.rows_in, raw.users, raw.items) == (21_012, 355, 714)
    assert raw.properties == {"categories.parquet": 584, "availability.parquet": 584}


def test_a_missing_source_is_named(tmp_path: Path, engine: LocalEngine) -> None:
    with pytest.raises(DataError, match="absent"):
        read_log(tmp_path / "absent", None, tmp_path / "out", engine)
