"""Every fault is planted and must be named with its file, row and remedy; what was published before stays."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.readers import read_log
from vitrina.events.validation import Limits

WriteCsv = Callable[..., Path]
Fault = Callable[..., DataError]
TS = 1_429_920_000_000
OWN = ColumnMap.parse("user=visitorid,item=itemid,event=event,timestamp=timestamp")


@pytest.fixture
def fault(tmp_path: Path, engine: LocalEngine) -> Fault:
    """Reads and gives the fault that it raises; nothing is published, and an older folder stays byte for byte."""

    def read(source: Path, columns: ColumnMap | None = None, *, as_of: int | None = None) -> DataError:
        out = tmp_path / "published"
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text("the old report")
        (out / "events.parquet").write_bytes(b"the old events")
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(DataError) as caught:
            read_log(source, columns, out, engine, as_of=as_of)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            "report.json": b"the old report",
            "events.parquet": b"the old events",
        }
        return caught.value

    return read


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{TS},1,like,5,", r"unknown event \('like'\).*like \(1\).*event.view=like"),
        (f"{TS},1,,5,", "unknown event"),
        (f"{TS},,view,5,", "no user id"),
        (f"{TS},1,view,  ,", "no item id"),
        (f"{TS},anna,view,5,", r"user id is not an integer \('anna'\).*--columns"),
        (f"{TS},1,view,5.5,", r"item id is not an integer \('5.5'\)"),
        (f"{TS},1,view,{2**63},", "item id is not an integer"),
        ("soon,1,view,5,", r"time cannot be read \('soon'\).*2015-05-03T10"),
        (",1,view,5,", "time cannot be read"),
        ("-5,1,view,5,", r"before 1995 \('-5'\).*unit"),
        (f"{TS // 1000},1,view,5,", "before 1995.*recognises s"),
        (f"{TS * 1000},1,view,5,", "after 2100.*unit"),
        (f"{TS + 800 * 86_400_000},1,view,5,", "far after the rest of the log.*clock"),
        ("nan,1,view,5,", "time cannot be read"),
        ("inf,1,view,5,", "time cannot be read"),
        ("infinity,1,view,5,", "time cannot be read"),
        ("1e300,1,view,5,", "time cannot be read"),
        (f"{TS},1,view", "too few columns"),
        (f"{TS},1,view,5,,6", "too many columns"),
    ],
)
def test_a_bad_row_is_named_with_file_and_row(
    row: str, words: str, event_rows: list[str], write_csv: WriteCsv, fault: Fault
) -> None:
    source = write_csv([*event_rows[:30], row, *event_rows[30:]])
    error = fault(source)
    assert error.where == f"{source}, row 32"
    with pytest.raises(DataError, match=words):
        raise error


def test_rows_are_counted_in_the_file_when_broken_lines_come_before(
    event_rows: list[str], write_csv: WriteCsv, fault: Fault
) -> None:
    rows = [
        "1,2",
        *event_rows[:3],
        "3,4,5,6,7,8",
        "9",
        f"{TS},,view,5,",
        f"{TS},,view,5,",
        f"{TS},,view,5,",
        f"{TS},,view,5,",
    ]
    error = fault(write_csv(rows))
    assert error.where.endswith("events.csv, row 8")
    assert "7 of 10 rows are bad (no user id: 4, too few columns: 2, too many columns: 1)" in error.problem


def test_few_bad_rows_are_left_out_counted_and_shown(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    bad = ["1,2", f"{TS},,view,5,", f"{TS},1,like,5,", f"{TS},1,like,6,"]
    source = write_csv([*event_rows, *bad])
    report = read_log(source, None, tmp_path / "out", engine, limits=Limits(max_bad_share=0.1, examples=1))
    assert (report.rows_in, report.rows_out) == (64, 60)
    assert report.rejected == {"too few columns": 1, "no user id": 1, "unknown event": 2}
    assert {(one.row, one.reason, one.value) for one in report.examples} == {
        (62, "too few columns", "1,2"),
        (63, "no user id", None),
        (64, "unknown event", "like"),
    }
    assert f"{source}, row 64: unknown event ('like')" in report.summary()


def test_the_share_of_bad_rows_decides(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    source = write_csv([*event_rows[:9], f"{TS},,view,5,"])
    assert read_log(source, None, tmp_path / "out", engine, limits=Limits(max_bad_share=0.1)).rows_out == 9
    with pytest.raises(DataError, match="1 of 10 rows are bad"):
        read_log(source, None, tmp_path / "out", engine, limits=Limits(max_bad_share=0.099))


def test_a_wrong_header_lists_what_is_there_and_suggests_columns(write_csv: WriteCsv, fault: Fault) -> None:
    error = fault(write_csv(["1,2,3"], header="ts,customer,sku"))
    assert error.where.endswith("events.csv, row 1")
    assert "no column visitorid, itemid, timestamp, event; the columns are ts, customer, sku" in error.problem
    assert "--columns user=customer" in error.remedy
    twice = fault(write_csv(["1,2,3,4"], header="timestamp,visitorid,itemid,visitorid,event"))
    assert "column visitorid is there twice" in twice.problem


def test_text_ids_are_read_when_the_columns_are_named(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine, fault: Fault
) -> None:
    source = write_csv([*event_rows, f"{TS},anna,view,5,"])
    assert "--columns" in fault(source).remedy
    report = read_log(source, OWN, tmp_path / "out", engine)
    assert (report.user_id_kind, report.item_id_kind, report.users) == ("str", "int", 6)


def test_an_id_of_too_many_bytes_or_with_a_nul_is_a_fault(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine, fault: Fault
) -> None:
    error = fault(write_csv([*event_rows, f"{TS},{'é' * 65},view,5,"]), OWN)
    assert error.where.endswith("row 62")
    assert "user id is over 128 bytes" in error.problem
    assert "over 128 bytes" in fault(write_csv([*event_rows, f"{TS},a\0b,view,5,"]), OWN).problem
    report = read_log(write_csv([*event_rows, f"{TS},{'é' * 64},view,5,"]), OWN, tmp_path / "out", engine)
    assert report.rows_out == 61


def test_events_after_as_of_are_faults(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine, fault: Fault
) -> None:
    last = TS + 59 * 600_000
    source = write_csv(event_rows)
    assert read_log(source, None, tmp_path / "out", engine, as_of=last).rows_out == 60
    error = fault(source, as_of=last - 1)
    assert error.where.endswith("row 61")
    assert "after as_of" in error.problem


def test_unknown_event_names_are_listed_with_their_counts(write_csv: WriteCsv, fault: Fault) -> None:
    rows = [f"{TS + n},1,{'click' if n % 3 else 'basket'},{n}," for n in range(30)]
    error = fault(write_csv(rows))
    assert "click (20), basket (10)" in error.remedy
    assert "event.view=click" in error.remedy


def test_exact_duplicates_are_dropped_and_counted(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    report = read_log(write_csv([*event_rows, *event_rows[:5], event_rows[0]]), None, tmp_path / "out", engine)
    assert (report.rows_in, report.rows_out, report.duplicates) == (66, 60, 6)


def test_a_machine_is_left_out_and_a_diligent_visitor_stays(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    hour = TS // 3_600_000 * 3_600_000
    fast = [f"{hour + n * 1000},7,view,{n}," for n in range(41)]
    long = [f"{hour + n * 1_000_000},8,view,{n}," for n in range(101)]
    diligent = [f"{hour + n * 40_000_000},9,view,{n}," for n in range(400)]
    limits = Limits(bot_events_per_hour=40, bot_events_per_day=60)
    report = read_log(write_csv([*event_rows, *fast, *long, *diligent]), None, tmp_path / "out", engine, limits=limits)
    assert (report.bots, report.bot_events, report.rows_out) == (2, 142, 460)
    users = set(pq.read_table(tmp_path / "out" / "events.parquet")["user_id"].to_pylist())
    assert users == {9, 100, 101, 102, 103, 104}
    assert "2 visitors of an impossible rate" in report.summary()


def test_a_log_of_machines_only_is_refused(write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine) -> None:
    source = write_csv([f"{TS + n},7,view,{n}," for n in range(50)])
    with pytest.raises(DataError, match="no event is left"):
        read_log(source, None, tmp_path / "out", engine, limits=Limits(bot_events_per_hour=40))
    assert not (tmp_path / "out").exists()


def planted_file(kind: str, good: bytes, folder: Path) -> Path:
    """A damaged file; the folder is fresh."""
    folder.mkdir()
    if kind == "half gzip":
        whole = gzip.compress(good)
        path, content = folder / "events.csv.gz", whole[: len(whole) // 2]
    elif kind == "flipped gzip":
        packed = bytearray(gzip.compress(good))
        packed[len(packed) // 2] ^= 0xFF
        path, content = folder / "events.csv.gz", bytes(packed)
    elif kind == "no gzip":
        path, content = folder / "events.csv.gz", good
    elif kind in ("half zip", "flipped zip"):
        path = folder / "events.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("events.csv", good)
        packed = bytearray(path.read_bytes())
        packed[100] ^= 0xFF
        content = path.read_bytes()[:300] if kind == "half zip" else bytes(packed)
    elif kind == "two in a zip":
        path = folder / "events.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", good)
            archive.writestr("b.csv", good)
        content = path.read_bytes()
    elif kind == "empty":
        path, content = folder / "events.csv", b""
    elif kind == "header only":
        path, content = folder / "events.csv", good.splitlines(keepends=True)[0]
    elif kind == "utf-16":
        path, content = folder / "events.csv", good.decode().encode("utf-16")
    elif kind == "latin-1":
        path, content = folder / "events.csv", good.replace(b"view", "visión".encode("latin-1"))
    elif kind == "open quote":
        lines = good.splitlines(keepends=True)
        path, content = folder / "events.csv", b"".join([*lines[:30], b'"' + lines[30], *lines[31:]])
    elif kind == "mixed line ends":
        lines = good.splitlines(keepends=True)
        path, content = (
            folder / "events.csv",
            b"".join(line.replace(b"\n", b"\r\n") for line in lines[:9]) + b"".join(lines[9:]),
        )
    else:
        path, content = folder / "events.parquet", b"PAR1" + good
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("half gzip", "ends early.*[Cc]opy or download"),
        ("flipped gzip", "gzip file is damaged"),
        ("no gzip", "is no gzip file"),
        ("half zip", "zip file is damaged"),
        ("flipped zip", "zip file is damaged"),
        ("two in a zip", "no events file is here|one data file was expected"),
        ("empty", "the file is empty"),
        ("header only", "no rows below the header"),
        ("utf-16", "header is not UTF-8.*Save the file as UTF-8"),
        ("latin-1", "not UTF-8"),
        ("open quote", "quote that does not close"),
        ("mixed line ends", "lines end in different ways"),
        ("broken parquet", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_published(
    kind: str, words: str, event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, fault: Fault
) -> None:
    path = planted_file(kind, write_csv(event_rows).read_bytes(), tmp_path / "damaged")
    for source in (path, path.parent):
        error = fault(source)
        assert str(path) in error.where
        with pytest.raises(DataError, match=words):
            raise error


def test_a_folder_without_events_or_with_two_is_refused(
    write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"no events file is here \(found: nothing\).*Name it events.csv"):
        read_log(tmp_path / "nothing", None, tmp_path / "out", engine)
    write_csv([], name="two/events.csv")
    write_csv([], name="two/events.txt")
    with pytest.raises(DataError, match=r"events is there more than once \(events.csv, events.txt\)"):
        read_log(tmp_path / "two", None, tmp_path / "out", engine)


def test_impossible_limits_are_refused() -> None:
    for wrong in ({"max_bad_share": 1.0}, {"max_bad_share": -0.1}, {"bot_events_per_hour": 0}, {"examples": 0}):
        with pytest.raises(ConfigError):
            Limits(**wrong)
