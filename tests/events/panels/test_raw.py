"""A bank's panel in a folder and on a real S3 server: what is uploaded is what is read, and which file that is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.panels.columns import PANEL_FILE
from vitrina.events.panels.raw import RawPanel, open_raw_panel
from vitrina.events.panels.reader import read_panel
from vitrina.events.panels.upload import upload_panel
from vitrina.storage.s3_bucket import S3Access

Place = Callable[..., RawPanel]


@pytest.fixture
def source(panel_row, write_panel) -> Path:
    """A train_ver2.csv of four rows, in a folder of its own."""
    rows = [panel_row(customer, day, owned) for customer in (1, 2) for day, owned in MONTHS]
    path: Path = write_panel(rows)
    return path


MONTHS = (("2015-01-28", (2,)), ("2015-02-28", (2, 23)))


@pytest.fixture
def store(s3) -> tuple[str, S3Access]:
    access = S3Access(endpoint=s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key)
    return f"s3://{s3.bucket()}/bank", access


@pytest.fixture(params=["folder", "s3"])
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Opens the same empty place every time, or a file of it."""
    if request.param == "folder":
        return lambda name="": open_raw_panel(str(tmp_path / "raw" / name) if name else str(tmp_path / "raw"))
    uri, access = request.getfixturevalue("store")
    return lambda name="": open_raw_panel(f"{uri}/{name}" if name else uri, access=access, cache=tmp_path / "cache")


def test_what_is_uploaded_is_what_is_read(source: Path, open_place: Place, engine: LocalEngine, tmp_path: Path) -> None:
    assert open_place().listing() == {"file": None, "bytes": None, "fingerprint": None}
    told = upload_panel(source.parent, open_place(), engine)
    assert (told["file"], told["sent"], told["bytes"]) == ("train_ver2.csv", 1, source.stat().st_size)
    again = upload_panel(source, open_place(), engine)
    assert (again["sent"], again["fingerprint"]) == (0, told["fingerprint"])
    assert open_place().fetch(tmp_path / "fetched").name == "train_ver2.csv"
    read_panel(tmp_path / "fetched", tmp_path / "out", engine)
    assert pq.read_table(tmp_path / "out" / PANEL_FILE)["owned"].to_pylist() == [1 << 2, 1 << 2 | 1 << 23] * 2


def test_a_new_month_changes_the_fingerprint(
    source: Path, open_place: Place, engine: LocalEngine, panel_row, write_panel, tmp_path: Path
) -> None:
    told = upload_panel(source, open_place(), engine)
    open_place().fetch(tmp_path / "first")
    months = (*MONTHS, ("2015-03-28", (2,)))
    write_panel([panel_row(customer, day, owned) for customer in (1, 2) for day, owned in months])
    changed = upload_panel(source, open_place(), engine)
    assert (changed["sent"], changed["fingerprint"] == told["fingerprint"]) == (1, False)
    open_place().fetch(tmp_path / "second")
    assert len((tmp_path / "second" / "train_ver2.csv").read_text().splitlines()) == 7


def test_an_address_may_name_the_file(source: Path, open_place: Place, engine: LocalEngine, tmp_path: Path) -> None:
    packed = tmp_path / "export.2016.csv.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    told = upload_panel(packed, open_place(), engine)
    assert told["file"] == "panel.csv.gz"
    with pytest.raises(DataError, match=r"there is no panel|no such file"):
        open_place("acquisitions.csv").fetch(tmp_path / "fetched")
    named = open_place("panel.csv.gz")
    assert named.listing()["fingerprint"] == told["fingerprint"]
    assert named.fetch(tmp_path / "fetched").name == "panel.csv.gz"
    assert (tmp_path / "fetched" / "panel.csv.gz").read_bytes() == packed.read_bytes()


def test_a_file_that_would_not_be_read_is_not_uploaded(source: Path, open_place: Place, engine: LocalEngine) -> None:
    upload_panel(source, open_place(), engine)
    other = source.with_name("panel.csv")
    source.rename(other)
    with pytest.raises(DataError, match=r"train_ver2.csv lies there, and is read before panel.csv"):
        upload_panel(other, open_place(), engine)
    assert [file.name for file in open_place().raw.files()] == ["train_ver2.csv"]


def test_what_is_no_panel_is_refused_before_it_is_sent(open_place: Place, engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "panel.csv").write_text("who,what\n1,2\n")
    with pytest.raises(DataError, match="no column"):
        upload_panel(tmp_path / "panel.csv", open_place(), engine)
    assert open_place().raw.files() == []
    with pytest.raises(DataError, match=r"there is no panel|no such file"):
        open_place().fetch(tmp_path / "fetched")


def test_files_beside_the_panel_are_not_fetched(
    data_dir: Path, open_place: Place, engine: LocalEngine, tmp_path: Path
) -> None:
    told = upload_panel(data_dir / "santander", open_place(), engine)
    open_place().raw.upload(data_dir / "santander" / "products.csv", "products.csv")
    assert told["file"] == "acquisitions.csv.gz"
    assert open_place().listing()["fingerprint"] == told["fingerprint"]
    open_place().fetch(tmp_path / "fetched")
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == ["acquisitions.csv.gz"]


def test_two_files_without_a_known_name_are_ambiguous(tmp_path: Path) -> None:
    for name in ("january.csv", "february.csv"):
        (tmp_path / name).write_text("x\n")
    with pytest.raises(DataError, match=r"found: february.csv, january.csv"):
        open_raw_panel(str(tmp_path)).listing()


def test_a_panel_that_was_changed_behind_its_checksum_is_refused(
    s3, store: tuple[str, S3Access], source: Path, engine: LocalEngine, tmp_path: Path
) -> None:
    uri, access = store
    place = open_raw_panel(uri, access=access, cache=tmp_path / "cache")
    upload_panel(source, place, engine)
    bucket, key = uri.removeprefix("s3://").split("/")[0], "bank/train_ver2.csv"
    found = s3.client().get_object(Bucket=bucket, Key=key)
    content = found["Body"].read().replace(b"2015-01-28", b"2015-03-28", 1)
    s3.client().put_object(Bucket=bucket, Key=key, Body=content, Metadata=found["Metadata"])
    with pytest.raises(DataError, match="not what was uploaded"):
        place.fetch(tmp_path / "fetched")
