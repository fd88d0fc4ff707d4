"""Workers of one host share its copies: what one of them loads, no other one removes; old copies go all the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.errors import ModelFormatError, RegistryError
from vitrina.serving.copies import Copies
from vitrina.serving.served import Served

HOLDING = """
import sys, time
from pathlib import Path
from vitrina.serving.copies import Copies
with Copies(Path(sys.argv[1])).used("2-run"):
    print("held", flush=True)
    time.sleep(600)
"""


def names(stage, kind: str = "models") -> list[str]:
    return sorted(path.name for path in (stage.root / "serving" / kind).iterdir())


def started(stage):
    """A worker that serves the last good copy and has not looked yet."""
    watcher = stage.watcher(served=Served())
    watcher._serve_last_good()
    return watcher


def meanwhile(stage, happens: Callable[[Path], None]) -> Callable[[Path], object]:
    """Loads a model, in the middle of which something happens to its folder, once."""
    left = [happens]

    def load(folder: Path):
        if left:
            left.pop()(folder)
        return toy(stage).load_toy(folder)

    return load


def toy(stage):
    return sys.modules[type(stage).__module__]


@pytest.fixture
def publish(stage) -> Callable[[str], None]:
    """Makes a version the champion."""
    return lambda version: stage.registry.publish(version, toy(stage).write_toy(stage.root / "made" / version))


def test_a_worker_that_marks_the_champion_before_removes_nothing_that_another_one_loads(stage, publish) -> None:
    stage.watcher().look()
    late = started(stage)

    def marks(_: Path) -> None:
        stage.registry.at = "1"
        late.look()
        stage.registry.at = "2"

    publish("2")
    stage.load = meanwhile(stage, marks)
    stage.watcher().look()
    assert stage.served.state.version == "2"
    assert stage.value("vitrina_swaps_total", what="model", outcome="refused") == 0
    assert (stage.registry.fetched, names(stage)) == (["1", "2"], ["1-run", "2-run"])


def test_a_copy_that_was_loaded_stays_until_it_is_marked(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    mark = watcher._mark

    def late(copy: str, *, champion: str) -> None:
        Copies(stage.root / "serving").mark_good("1-run")
        mark(copy, champion=champion)

    watcher._mark = late
    publish("2")
    watcher.look()
    assert names(stage) == ["1-run", "2-run"]


def test_a_worker_that_refuses_a_model_removes_nothing_that_another_one_loads(stage, publish) -> None:
    stage.watcher().look()
    other, watcher = stage.watcher(served=Served()), stage.watcher()

    def refuses(folder: Path) -> object:
        raise ModelFormatError(f"{folder}: not for this one")

    other._maker._load = refuses
    publish("2")
    watcher._maker._load = meanwhile(stage, lambda _: other.look())
    watcher.look()
    assert stage.served.state.version == "2"
    assert stage.registry.fetched == ["1", "2"]
    other.look()
    assert names(stage) == ["1-run", "2-run"], "not tried again at once"


def test_a_copy_that_goes_while_it_is_loaded_is_fetched_again_at_once(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    publish("2")
    watcher._maker._load = meanwhile(stage, shutil.rmtree)
    watcher.look()
    assert stage.served.state.version == "2"
    assert stage.registry.fetched == ["1", "2", "2"]
    assert stage.value("vitrina_swaps_total", what="model", outcome="refused") == 0


def test_a_last_good_copy_that_goes_while_it_is_loaded_is_fetched_at_the_first_look(stage) -> None:
    stage.watcher().look()
    stage.load = meanwhile(stage, shutil.rmtree)
    watcher = started(stage)
    assert watcher._served.state is None
    watcher.look()
    assert watcher._served.state.version == "1"


def test_a_model_that_cannot_be_fetched_is_asked_for_once(stage, publish) -> None:
    watcher = stage.watcher()
    watcher.look()
    publish("2")
    asked: list[str] = []

    def away(version: str, to: Path) -> None:
        asked.append(version)
        raise RegistryError("the artifacts do not answer. Start their store")

    stage.registry.fetch = away
    watcher.look()
    assert asked == ["2"]


def test_lists_that_another_worker_opens_stay(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = stage.watcher()
    watcher.look()
    stage.write_lists("b")
    copies = Copies(stage.root / "serving", "lists")
    (first,) = names(stage, "lists")
    lists = sys.modules["vitrina.serving.lists_follower"]
    opened = lists._opened

    def marked_meanwhile(folder: Path, items: object):
        copies.mark_good(first)
        return opened(folder, items)

    monkeypatch.setattr(lists, "_opened", marked_meanwhile)
    watcher.look()
    assert stage.served.state.lists.version == "b"
    assert stage.value("vitrina_swaps_total", what="lists", outcome="refused") == 0


def test_a_start_waits_for_no_fetch_of_another_worker(stage, publish) -> None:
    stage.watcher().look()
    publish("2")
    versions: list[str] = []

    def fetch(to: Path) -> None:
        starting = threading.Thread(target=lambda: versions.append(started(stage)._served.state.version))
        starting.start()
        starting.join(timeout=120)
        assert versions == ["1"]
        stage.registry.fetch("2", to)

    with Copies(stage.root / "serving").used("2-run", fetch):
        pass
    assert versions == ["1"]


def test_what_was_spared_goes_with_the_next_mark(stage, publish) -> None:
    stage.watcher().look()
    publish("2")
    copies = Copies(stage.root / "serving")
    with copies.used("2-run", lambda to: stage.registry.fetch("2", to)):
        copies.mark_good("1-run")
        copies.discard("2-run")
        assert names(stage) == ["1-run", "2-run"]
    copies.mark_good("1-run")
    assert names(stage) == ["1-run"]


def test_what_a_killed_worker_was_loading_goes_with_the_next_mark(stage, publish) -> None:
    stage.watcher().look()
    publish("2")
    copies = Copies(stage.root / "serving")
    with copies.used("2-run", lambda to: stage.registry.fetch("2", to)):
        pass
    command = [sys.executable, "-c", HOLDING, str(stage.root / "serving")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None and worker.stdout.readline() == "held\n"
            copies.mark_good("1-run")
            assert names(stage) == ["1-run", "2-run"]
        finally:
            os.kill(worker.pid, signal.SIGKILL)
    begun = time.monotonic()
    copies.mark_good("1-run")
    assert names(stage) == ["1-run"] and time.monotonic() - begun < 60
