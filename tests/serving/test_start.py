"""A start answers with what the registry tells, unless that takes too long or cannot be had; then it says so."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from waiting import PATIENCE, wait

from vitrina.serving import watcher as watching
from vitrina.serving.served import Served


@pytest.fixture
def again(stage):
    """Version 1 is kept on this host, 2 the champion by now: what the next worker serves, and its watcher."""
    stage.watcher().look()
    toy = sys.modules[type(stage).__module__]
    stage.registry.publish("2", toy.write_toy(stage.root / "made" / "2"))
    served = Served()
    return served, stage.watcher(served=served, every=0.02)


def test_a_start_serves_the_champion_that_came_meanwhile(stage, again, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", PATIENCE)
    served, watcher = again
    load = watcher._maker._load

    def slowly(folder):
        time.sleep(0.3)
        return load(folder)

    watcher._maker._load = slowly
    watcher.start()
    assert (served.state.version, served.confirmed) == ("2", True)
    watcher.stop()


def test_a_start_waits_for_a_slow_registry_only_so_long(stage, again, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", 0.2)
    served, watcher = again
    champion, answers = stage.registry.champion, threading.Event()

    def slow():
        answers.wait(PATIENCE)
        return champion()

    stage.registry.champion = slow
    begun = time.monotonic()
    watcher.start()
    assert 0.2 <= time.monotonic() - begun < 60
    assert (served.state.version, served.confirmed) == ("1", False)
    answers.set()
    wait(lambda: served.confirmed, pause=0.01)
    watcher.stop()
    assert (served.state.version, served.confirmed) == ("2", True)


def test_a_start_without_a_registry_waits_for_nothing(stage, again, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", PATIENCE)
    served, watcher = again
    stage.registry.down = True
    begun = time.monotonic()
    watcher.start()
    took = time.monotonic() - begun
    watcher.stop()
    assert (served.state.version, served.confirmed) == ("1", False)
    assert took < PATIENCE / 2
    stage.registry.down = False
    watcher.look()
    assert (served.state.version, served.confirmed) == ("2", True)


def test_what_was_confirmed_stays_so_while_the_registry_is_away(stage) -> None:
    watcher = stage.watcher()
    assert not stage.served.confirmed
    watcher.look()
    stage.registry.down = True
    watcher.look()
    assert stage.served.confirmed
