"""What the watcher does with good, bad and missing champions and lists."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from waiting import wait

from vitrina.events.ids import IdMap
from vitrina.serving.served import Served


def toy(stage):
    import sys

    return sys.modules[type(stage).__module__]


def test_first_look_serves_the_champion_with_its_lists(stage) -> None:
    stage.watcher().look()
    state = stage.served.state
    assert (state.version, state.lists.version, state.lists_fit) == ("1", "a", True)
    assert stage.value("vitrina_model_info", version="1") == 1
    assert stage.value("vitrina_swaps_total", what="model", outcome="done") == 1
    assert stage.value("vitrina_registry_up") == 1


def test_no_champion_means_no_state(stage) -> None:
    stage.registry.at = None
    stage.watcher().look()
    assert stage.served.state is None


def test_a_new_champion_is_swapped_in_and_fetched_once_per_host(stage) -> None:
    watcher, other = stage.watcher(), stage.watcher(served=Served())
    watcher.look()
    stage.registry.publish("2", toy(stage).write_toy(stage.root / "made" / "2"))
    watcher.look()
    other.look()
    assert stage.served.state.version == "2"
    assert stage.registry.fetched == ["1", "2"]
    assert stage.value("vitrina_model_info", version="1") == 0
    # its own lists do not exist yet: the old ones lend their histories
    assert (stage.served.state.lists.version, stage.served.state.lists_fit) == ("a", False)


def test_only_the_last_two_copies_stay(stage) -> None:
    watcher = stage.watcher()
    for version in ("1", "2", "3"):
        stage.registry.publish(version, toy(stage).write_toy(stage.root / "made" / version))
        watcher.look()
    assert sorted(path.name for path in (stage.root / "serving" / "models").iterdir()) == ["2-run", "3-run"]


@pytest.mark.parametrize("name", ["arrays/pairs.npy", "arrays/items.npy", "model.json"])
def test_a_model_with_a_flipped_byte_is_refused(stage, name: str) -> None:
    watcher = stage.watcher()
    watcher.look()
    bad = toy(stage).write_toy(stage.root / "made" / "2")
    content = bytearray((bad / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bad / name).write_bytes(content)
    stage.registry.publish("2", bad)
    watcher.look()
    watcher.look()
    assert stage.served.state.version == "1"
    assert stage.value("vitrina_swaps_total", what="model", outcome="refused") == 1, "not tried again at once"
    assert stage.registry.fetched == ["1", "2"]


def test_a_refused_model_is_tried_again_later(stage) -> None:
    watcher = stage.watcher()
    bad = toy(stage).write_toy(stage.root / "made" / "2")
    whole = (bad / "model.json").read_bytes()
    (bad / "model.json").write_bytes(whole[:-20])
    stage.registry.publish("2", bad)
    watcher.look()
    (bad / "model.json").write_bytes(whole)
    for _ in range(20):
        watcher.look()
    assert stage.served.state.version == "2"


def test_a_model_of_another_schema_is_refused(stage) -> None:
    watcher = stage.watcher()
    watcher.look()
    bad = toy(stage).write_toy(stage.root / "made" / "2")
    text = (bad / "model.json").read_text().replace('"schema_version": 1', '"schema_version": 0')
    (bad / "model.json").write_text(text)
    stage.registry.publish("2", bad)
    watcher.look()
    assert stage.served.state.version == "1"


def test_starts_from_the_last_good_copy_when_the_registry_is_down(stage) -> None:
    stage.watcher().look()
    stage.registry.down = True
    served = Served()
    watcher = stage.watcher(served=served)
    watcher.start()
    watcher.stop()
    assert served.state.version == "1"
    assert stage.value("vitrina_registry_up") == 0


def test_a_damaged_last_copy_gives_way_to_the_one_before(stage) -> None:
    watcher = stage.watcher()
    watcher.look()
    stage.registry.publish("2", toy(stage).write_toy(stage.root / "made" / "2"))
    watcher.look()
    (stage.root / "serving" / "models" / "2-run" / "arrays" / "pairs.npy").write_bytes(b"")
    stage.registry.down = True
    served = Served()
    again = stage.watcher(served=served)
    again.start()
    again.stop()
    assert served.state.version == "1"


def test_new_lists_are_picked_up(stage) -> None:
    watcher = stage.watcher()
    watcher.look()
    stage.write_lists("b")
    watcher.look()
    assert stage.served.state.lists.version == "b"
    assert stage.value("vitrina_swaps_total", what="lists", outcome="done") == 1


def test_damaged_lists_are_refused(stage) -> None:
    watcher = stage.watcher()
    watcher.look()
    folder = stage.write_lists("b")
    content = bytearray((folder / "list_items.npy").read_bytes())
    content[-1] ^= 1
    (folder / "list_items.npy").write_bytes(content)
    watcher.look()
    assert stage.served.state.lists.version == "a"
    assert stage.value("vitrina_swaps_total", what="lists", outcome="refused") == 1


def test_lists_for_other_items_are_not_used(stage) -> None:
    stage.write_lists("b", items=IdMap(np.arange(500, 520)))
    stage.watcher().look()
    assert stage.served.state.lists.version == "a"


def test_after_a_rollback_the_older_models_own_lists_come_back(stage) -> None:
    watcher = stage.watcher()
    stage.registry.publish("2", toy(stage).write_toy(stage.root / "made" / "2"))
    stage.write_lists("b", model_version="2")
    watcher.look()
    assert (stage.served.state.lists.version, stage.served.state.lists_fit) == ("b", True)
    stage.registry.at = "1"
    watcher.look()
    assert (stage.served.state.version, stage.served.state.lists.version) == ("1", "a")


def test_the_thread_follows_and_ends(stage) -> None:
    watcher = stage.watcher()
    watcher.start()
    stage.registry.publish("2", toy(stage).write_toy(stage.root / "made" / "2"))
    wait(lambda: stage.served.state.version == "2", pause=0.01)
    watcher.stop()
    assert stage.served.state.version == "2"
    assert "vitrina-watcher-shop" not in {thread.name for thread in threading.enumerate()}
