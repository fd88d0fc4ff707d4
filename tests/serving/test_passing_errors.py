"""What passes by itself (a host short of memory, file handles or room) costs no copy and is tried again soon; what a
copy has lost for good, what cannot be read and what only another release can read, is told apart from it."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vitrina.errors import DamagedError, ModelFormatError, RegistryError, StoreError
from vitrina.events.ids import IdMap
from vitrina.serving import lists_follower
from vitrina.serving.lists import Lists
from vitrina.serving.refusals import RETRY_AFTER_LOOKS, is_passing
from vitrina.serving.served import Served


@contextmanager
def file_handles(left: int) -> Iterator[None]:
    """This process can open so many more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]  # no holes below the limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(opened) + 1, before[1]))
    for handle in opened[64 - left :]:
        os.close(handle)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for handle in opened[: 64 - left]:
            os.close(handle)


def copies(stage, kind: str = "models") -> list[str]:
    return sorted(path.name for path in (stage.root / "serving" / kind).iterdir())


def started(stage):
    """A worker that has just started, its thread ended."""
    watcher = stage.watcher(served=Served(), every=60)
    watcher.start()
    watcher.stop()
    return watcher


def soon(watcher):
    """What is served a few looks later."""
    for _ in range(4):
        watcher.look()
    return watcher._served.state


@pytest.mark.parametrize("down", [True, False], ids=["registry down", "registry up"])
@pytest.mark.parametrize("left", range(16))
def test_a_start_without_file_handles_costs_no_copy(stage, left: int, down: bool) -> None:
    stage.watcher().look()
    models, lists = copies(stage), copies(stage, "lists")
    assert len(models) == len(lists) == 1
    stage.registry.down = down
    with file_handles(left):
        watcher = started(stage)
    assert (copies(stage), copies(stage, "lists")) == (models, lists)
    state = soon(watcher)
    assert (state.version, state.lists.version) == ("1", "a")
    assert stage.registry.fetched == ["1"]


@pytest.mark.parametrize("error", [MemoryError("cannot map"), OSError(errno.ENOMEM, "cannot allocate memory")])
def test_a_start_without_memory_costs_no_copy(stage, error: Exception) -> None:
    stage.watcher().look()
    stage.registry.down = True
    stage.load = failing_once(stage.load, error)
    watcher = started(stage)
    assert watcher._served.state is None and copies(stage) == ["1-run"]
    assert soon(watcher).version == "1"


def test_what_stands_in_for_a_moment_does_not_become_the_last_good_copy(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    publish("2")
    watcher.look()
    stage.registry.down = True
    stage.load = failing_once(stage.load, MemoryError("cannot map"))
    assert started(stage)._served.state.version == "1"
    assert started(stage)._served.state.version == "2"


def test_a_champion_that_could_not_be_fetched_is_asked_for_again(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    folder = publish("2")
    del stage.registry.folders["2"]
    fetch = stage.registry.fetch

    def away(version: str, to: Path) -> None:
        raise RegistryError("the artifacts do not answer. Start their store")

    stage.registry.fetch = away
    watcher.look()
    assert stage.served.state.version == "1"
    stage.registry.fetch, stage.registry.folders["2"] = fetch, folder
    for _ in range(RETRY_AFTER_LOOKS):
        watcher.look()
    assert stage.served.state.version == "2"


@pytest.mark.parametrize("where", ["model", "lists"])
def test_what_finds_no_room_is_not_fetched_without_pause(stage, publish, where: str) -> None:
    watcher = stage.watcher()
    watcher.look()
    begun: list[int] = []
    looks = 0

    def full(*_: object) -> None:
        begun.append(looks)
        raise OSError(errno.ENOSPC, "no space left on device")

    if where == "model":
        publish("2")
        stage.registry.fetch = full
    else:
        stage.write_lists("b")
        stage.objects.get_folder = full
    while looks <= 2 * RETRY_AFTER_LOOKS:
        watcher.look()
        looks += 1
    assert begun == [0, RETRY_AFTER_LOOKS, 2 * RETRY_AFTER_LOOKS]
    assert (stage.served.state.version, stage.served.state.lists.version) == ("1", "a")


def test_a_fetched_champion_that_finds_no_memory_is_loaded_soon(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    publish("2")
    watcher._maker._load = failing_once(stage.load, OSError(errno.ENOMEM, "cannot allocate memory"))
    watcher.look()
    assert stage.served.state.version == "1"
    assert soon(watcher).version == "2"
    assert stage.registry.fetched == ["1", "2"]


@pytest.mark.parametrize("kind", [errno.EIO, errno.EACCES], ids=["EIO", "EACCES"])
def test_a_copy_that_cannot_be_read_is_fetched_anew_once_the_registry_answers(stage, kind: int) -> None:
    stage.watcher().look()
    load = stage.load

    def unreadable(folder: Path):
        if len(stage.registry.fetched) == 1:
            raise OSError(kind, os.strerror(kind), str(folder / "arrays" / "pairs.npy"))
        return load(folder)

    stage.load, stage.registry.down = unreadable, True
    watcher = started(stage)
    for _ in range(40):
        watcher.look()
    assert watcher._served.state is None and copies(stage) == ["1-run"], "nothing better is at hand"
    stage.registry.down = False
    for _ in range(40):
        watcher.look()
    assert watcher._served.state.version == "1" and stage.registry.fetched == ["1", "1"]


def test_lists_that_cannot_be_read_are_fetched_anew(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.watcher().look()
    get_folder, opened, fetched = stage.objects.get_folder, lists_follower._opened, []

    def counted(key: str, folder: Path) -> None:
        fetched.append(key)
        get_folder(key, folder)

    def unreadable(folder: Path, items: IdMap) -> Lists:
        if not fetched:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder / "users.npy"))
        return opened(folder, items)

    stage.objects.get_folder = counted
    monkeypatch.setattr(lists_follower, "_opened", unreadable)
    watcher = stage.watcher(served=Served())
    watcher.look()
    assert (watcher._served.state.version, watcher._served.state.lists) == ("1", None)
    for _ in range(RETRY_AFTER_LOOKS):
        watcher.look()
    assert watcher._served.state.lists.version == "a" and fetched == ["lists/a"]


def test_a_mark_that_found_no_room_is_made_at_the_next_look(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    publish("2")
    note = stage.root / "serving" / "last_good_models.json"
    note.rename(note.with_suffix(".away"))
    note.mkdir()
    with pytest.raises(IsADirectoryError):
        watcher.look()
    assert stage.served.state.version == "2"
    note.rmdir()
    note.with_suffix(".away").rename(note)
    watcher.look()
    stage.registry.down = True
    assert started(stage)._served.state.version == "2"


def test_lists_whose_mark_found_no_room_are_served_and_marked_later(stage) -> None:
    note = stage.root / "serving" / "last_good_lists.json"
    note.mkdir(parents=True)
    watcher = stage.watcher()
    for _ in range(2):
        watcher.look()
        assert (stage.served.state.version, stage.served.state.lists.version) == ("1", "a")
    assert stage.value("vitrina_swaps_total", what="model", outcome="refused") == 0
    note.rmdir()
    watcher.look()
    stage.registry.down = True
    assert started(stage)._served.state.lists.version == "a"


def test_a_copy_that_another_release_reads_waits_for_it_while_the_registry_is_down(stage) -> None:
    stage.watcher().look()
    stage.registry.down = True
    document = stage.root / "serving" / "models" / "1-run" / "model.json"
    text = document.read_text()
    document.write_text(text.replace('"schema_version": 1', '"schema_version": 0'))
    assert soon(started(stage)) is None and copies(stage) == ["1-run"]
    document.write_text(text)
    assert started(stage)._served.state.version == "1"


def test_a_copy_of_another_schema_is_fetched_anew_from_a_registry_that_answers(stage) -> None:
    stage.watcher().look()
    document = stage.root / "serving" / "models" / "1-run" / "model.json"
    document.write_text(document.read_text().replace('"schema_version": 1', '"schema_version": 0'))
    watcher = started(stage)
    for _ in range(40):
        watcher.look()
    assert watcher._served.state.version == "1" and stage.registry.fetched == ["1", "1"]


@pytest.mark.parametrize("left", ["", None], ids=["cut", "missing"])
def test_a_damaged_copy_goes_although_the_registry_is_down(stage, left: str | None) -> None:
    stage.watcher().look()
    stage.registry.down = True
    array = stage.root / "serving" / "models" / "1-run" / "arrays" / "pairs.npy"
    array.unlink()
    if left is not None:
        array.write_text(left)
    assert started(stage)._served.state is None and copies(stage) == []


def test_only_what_says_nothing_about_a_copy_is_passing() -> None:
    lacking = ("ENOMEM", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "EAGAIN", "EINTR")
    assert all(is_passing(OSError(getattr(errno, name), name)) for name in lacking)
    away = (ConnectionResetError(), TimeoutError(), RegistryError("x"), StoreError("x"))
    assert all(map(is_passing, (MemoryError(), *away)))
    assert not any(is_passing(OSError(getattr(errno, name), name)) for name in ("EIO", "EACCES", "ENOENT", "EISDIR"))
    assert not any(map(is_passing, (OSError(), ModelFormatError("x"), DamagedError("x"), ValueError(), KeyError())))
    for kind, cause, passing in (
        (ModelFormatError, OSError(errno.ENOMEM, "x"), True),
        (ModelFormatError, OSError(errno.EIO, "x"), False),
        (DamagedError, OSError(errno.ENOMEM, "x"), False),
    ):
        told = kind("x")
        told.__cause__ = cause
        assert is_passing(told) == passing


def failing_once(load, error: Exception):
    """As `load`, from its second call on."""
    errors = [error]

    def first_fails(folder: Path):
        if errors:
            raise errors.pop()
        return load(folder)

    return first_fails


@pytest.fixture
def publish(stage):
    """Makes a version the champion."""
    toy = sys.modules[type(stage).__module__]

    def make(version: str) -> Path:
        folder = toy.write_toy(stage.root / "made" / version)
        stage.registry.publish(version, folder)
        return folder

    return make
