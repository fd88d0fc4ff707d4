"""One contract for every store of objects: a local folder, and S3 on a real server."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.errors import ConfigError, DataError
from vitrina.storage.objects import Objects
from vitrina.storage.opening import objects_for
from vitrina.storage.s3_bucket import S3Access


@pytest.fixture(params=["folder", "s3"])
def open_objects(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Objects]:
    """Opens the same store every time it is called; where S3 is cached, each time as if on another machine."""
    if request.param == "folder":
        return lambda: objects_for((tmp_path / "objects").as_uri(), cache=tmp_path / "cache")
    server = request.getfixturevalue("s3")
    uri = f"s3://{server.bucket()}/some/prefix"
    access = S3Access(endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key)
    caches = itertools.count()
    return lambda: objects_for(uri, cache=tmp_path / f"cache{next(caches)}", access=access)


@pytest.fixture
def objects(open_objects: Callable[[], Objects]) -> Objects:
    return open_objects()


def folder_of(path: Path, **files: str) -> Path:
    (path / "deep").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_text(content)
    (path / "deep" / "file").write_text("deep")
    return path


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_as_it_was_put(
    objects: Objects, open_objects: Callable[[], Objects], tmp_path: Path
) -> None:
    objects.put_folder("storefront/prepared/17", folder_of(tmp_path / "in", a="1", b="2"))
    open_objects().get_folder("storefront/prepared/17", tmp_path / "out")
    assert texts(tmp_path / "out") == {"a": "1", "b": "2", "deep/file": "deep"}
    assert objects.exists("storefront/prepared/17")
    assert not objects.exists("storefront/prepared")


def test_a_new_content_replaces_the_old_one_wholly(objects: Objects, tmp_path: Path) -> None:
    for turn in range(4):
        objects.put_folder("lists", folder_of(tmp_path / f"in{turn}", **{f"only{turn}": str(turn)}))
        objects.get_folder("lists", tmp_path / "out")
        assert texts(tmp_path / "out") == {f"only{turn}": str(turn), "deep/file": "deep"}


def test_a_published_name_switches_between_folders(objects: Objects, tmp_path: Path) -> None:
    objects.put_folder("lists/1", folder_of(tmp_path / "one", a="1"))
    objects.put_folder("lists/2", folder_of(tmp_path / "two", a="2"))
    for version in ("1", "2", "1"):
        objects.publish("lists/current", f"lists/{version}")
        objects.get_folder("lists/current", tmp_path / "out")
        assert texts(tmp_path / "out")["a"] == version
    assert objects.list() == ["lists/1", "lists/2", "lists/current"]
    with pytest.raises(DataError, match="lists/3"):
        objects.publish("lists/current", "lists/3")
    with pytest.raises(ConfigError, match="published name"):
        objects.publish("other", "lists/current")
    objects.get_folder("lists/current", tmp_path / "out")
    assert texts(tmp_path / "out")["a"] == "1"


def test_bytes(objects: Objects, open_objects: Callable[[], Objects]) -> None:
    objects.put_bytes("run/report.json", b"{}")
    objects.put_bytes("run/report.json", b"\x00\xff")
    assert open_objects().get_bytes("run/report.json") == b"\x00\xff"
    assert objects.exists("run/report.json")
    assert objects.list("run") == ["run/report.json"]


def test_listing_goes_by_whole_names(objects: Objects, tmp_path: Path) -> None:
    assert objects.list() == []
    for key in ("a/b/c", "a/b/d", "a/bc", "z"):
        objects.put_bytes(key, b"")
    objects.put_folder("a/b/folder", folder_of(tmp_path / "in", file="not listed"))
    assert objects.list("a/b") == ["a/b/c", "a/b/d", "a/b/folder"]
    assert objects.list() == ["a/b/c", "a/b/d", "a/b/folder", "a/bc", "z"]
    assert objects.list("nothing") == []


def test_what_is_deleted_is_gone(objects: Objects, tmp_path: Path) -> None:
    objects.put_folder("a", folder_of(tmp_path / "in", a="1"))
    objects.publish("now", "a")
    objects.put_bytes("b/c", b"1")
    for key in ("a", "b/c", "never"):
        objects.delete(key)
    assert objects.list() == []
    assert not objects.exists("a")
    assert not objects.exists("now")
    with pytest.raises(DataError, match="now"):
        objects.get_folder("now", tmp_path / "out")
    objects.put_folder("b/c", folder_of(tmp_path / "in"))


def test_what_is_absent_is_told_by_its_key(objects: Objects, tmp_path: Path) -> None:
    objects.put_bytes("file", b"")
    objects.put_folder("folder", folder_of(tmp_path / "in"))
    for key in ("none", "file"):
        with pytest.raises(DataError, match=key):
            objects.get_folder(key, tmp_path / "out")
    for key in ("none", "folder"):
        with pytest.raises(DataError, match=key):
            objects.get_bytes(key)
    with pytest.raises(DataError, match="missing"):
        objects.put_folder("x", tmp_path / "missing")
    assert not (tmp_path / "out").exists()
    assert objects.list() == ["file", "folder"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "a//b",
        "a/",
        "../a",
        "a/../../b",
        ".",
        "a/.hidden",
        "a\\b",
        "a b",
        "a\n",
        "a\0",
        "x" * 201,
    ],
)
def test_keys_that_are_refused(objects: Objects, tmp_path: Path, key: str) -> None:
    folder_of(tmp_path / "in")
    calls: list[Callable[[], object]] = [
        lambda: objects.put_folder(key, tmp_path / "in"),
        lambda: objects.get_folder(key, tmp_path / "out"),
        lambda: objects.put_bytes(key, b""),
        lambda: objects.get_bytes(key),
        lambda: objects.exists(key),
        lambda: objects.delete(key),
        lambda: objects.publish(key, "a"),
    ]
    for call in calls:
        with pytest.raises((ConfigError, DataError)):
            call()


def test_a_key_holds_one_kind_and_has_nothing_below_it(objects: Objects, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", a="1")
    objects.put_folder("folder", source)
    objects.put_bytes("file", b"1")
    objects.put_bytes("above/below", b"1")
    calls: list[Callable[[], object]] = [
        lambda: objects.put_bytes("folder", b""),
        lambda: objects.put_bytes("folder/x", b""),
        lambda: objects.put_folder("file", source),
        lambda: objects.put_folder("file/x", source),
        lambda: objects.put_folder("above", source),
        lambda: objects.put_bytes("above", b""),
        lambda: objects.publish("file", "folder"),
        lambda: objects.publish("above", "folder"),
    ]
    for call in calls:
        with pytest.raises(ConfigError):
            call()
    objects.get_folder("folder", tmp_path / "out")
    assert texts(tmp_path / "out") == texts(source)
    assert objects.get_bytes("file") == b"1"
    assert objects.list() == ["above/below", "file", "folder"]


def test_readers_never_see_a_mixture(open_objects: Callable[[], Objects], tmp_path: Path) -> None:
    names = [f"part{n}" for n in range(20)]
    for content in ("x", "y"):
        folder_of(tmp_path / content, **dict.fromkeys(names, content))
    objects = open_objects()
    objects.put_folder("key", tmp_path / "x")
    done = threading.Event()

    def write() -> None:
        writer = open_objects()
        for turn in range(20):
            writer.put_folder("key", tmp_path / "yx"[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set() or reads < 3:
        objects.get_folder("key", tmp_path / "out")
        seen = texts(tmp_path / "out")
        assert set(seen) == {*names, "deep/file"}
        assert len({seen[name] for name in names}) == 1
        reads += 1
    writer.join()


def test_a_folder_is_written_in_place_and_read_in_place(open_objects: Callable[[], Objects]) -> None:
    objects = open_objects()
    with objects.writing("storefront/work/1") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text("1")
        with pytest.raises(DataError):
            objects.local("storefront/work/1")
    objects.publish("storefront/now", "storefront/work/1")
    for reader in (objects, open_objects()):
        assert texts(reader.local("storefront/work/1")) == {"deep/a": "1"}
        assert reader.local("storefront/now") == reader.local("storefront/work/1")


def test_a_failed_writing_changes_nothing(objects: Objects) -> None:
    with objects.writing("key") as folder:
        (folder / "a").write_text("good")

    def fail() -> None:
        with objects.writing("key") as folder:
            (folder / "a").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert texts(objects.local("key")) == {"a": "good"}
    assert objects.list() == ["key"]


def test_a_reader_inside_keeps_its_content_over_one_replacement(open_objects: Callable[[], Objects]) -> None:
    writer, reader = open_objects(), open_objects()
    with writer.writing("key") as folder:
        (folder / "a").write_text("0")
    first = reader.local("key")
    with writer.writing("key") as folder:
        (folder / "a").write_text("1")
    assert texts(reader.local("key")) == {"a": "1"}
    assert texts(first) == {"a": "0"}


def test_an_address_names_the_key(objects: Objects) -> None:
    objects.put_bytes("a/b", b"1")
    assert objects.uri("a/b").endswith("/a/b")
    assert objects.uri("a/b").startswith(("file:///", "s3://"))
