"""Lists in a store that the service shares nothing with but the address: they are followed, and outlive the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vitrina.serving.served import Served
from vitrina.storage.opening import objects_for
from vitrina.storage.s3_bucket import S3Access


@pytest.fixture
def apart(stage, s3_alone, tmp_path: Path):
    """The stage with its lists in S3, read through a cache of its own; and the pipeline's way to the same store."""
    uri = f"s3://{s3_alone.bucket()}/objects"
    access = S3Access(
        endpoint=s3_alone.endpoint,
        access_key=s3_alone.access_key,
        secret_key=s3_alone.secret_key,
        attempts=2,
        connect_seconds=1,
    )
    written = replace(stage, objects=objects_for(uri, cache=tmp_path / "pipeline", access=access))
    written.write_lists("a")
    return replace(stage, objects=objects_for(uri, cache=tmp_path / "service", access=access)), written


def test_lists_are_followed_and_outlive_the_store(apart, s3_alone) -> None:
    stage, pipeline = apart
    watcher = stage.watcher()
    watcher.look()
    assert stage.served.state.lists.version == "a"
    pipeline.write_lists("b")
    watcher.look()
    state = stage.served.state
    assert (state.lists.version, state.lists_fit) == ("b", True)
    assert state.lists.folder.is_relative_to(stage.root / "serving" / "lists")
    assert stage.value("vitrina_objects_up") == 1

    s3_alone.stop()
    watcher.look()
    assert stage.served.state is state
    assert stage.value("vitrina_objects_up") == 0
    stage.registry.down = True
    again = Served()
    started = stage.watcher(served=again)
    started.start()
    started.stop()
    assert (again.state.version, again.state.lists.version, again.state.lists_fit) == ("1", "b", True)

    s3_alone.start()
    pipeline.write_lists("c")
    watcher.look()
    assert stage.served.state.lists.version == "c"
    assert stage.value("vitrina_objects_up") == 1


def test_one_worker_of_the_host_fetches_and_two_copies_stay(stage) -> None:
    fetched: list[str] = []
    get_folder = stage.objects.get_folder

    def counted(key: str, folder: Path) -> None:
        fetched.append(key)
        get_folder(key, folder)

    stage.objects.get_folder = counted
    watchers = [stage.watcher(), stage.watcher(served=Served())]
    for version in ("a", "b", "c"):
        stage.write_lists(version)
        for watcher in watchers:
            watcher.look()
    assert fetched == ["lists/a", "lists/b", "lists/c"]
    assert len(list((stage.root / "serving" / "lists").iterdir())) == 2
