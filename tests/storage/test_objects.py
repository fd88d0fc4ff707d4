from pathlib import Path

import pytest

from vitrina.errors import DataError
from vitrina.storage.objects import FolderObjects


def test_a_folder_is_written_in_place_and_read_in_place(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    with objects.writing("storefront/work/1") as folder:
        (folder / "a").write_text("1")
        with pytest.raises(DataError):
            objects.local("storefront/work/1")
    assert (objects.local("storefront/work/1") / "a").read_text() == "1"
    assert (tmp_path / "objects" / "storefront" / "work" / "1" / "a").read_text() == "1"


def _failed(objects: FolderObjects) -> None:
    with objects.writing("key") as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError


def test_a_failed_writing_changes_nothing(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    with objects.writing("key") as folder:
        (folder / "a").write_text("good")
    with pytest.raises(ZeroDivisionError):
        _failed(objects)
    assert (objects.local("key") / "a").read_text() == "good"
    assert len(list((tmp_path / ".folders" / "key").iterdir())) == 1


def test_a_reader_inside_keeps_its_content_over_one_replacement(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    for turn in range(3):
        with objects.writing("key") as folder:
            (folder / "a").write_text(str(turn))
        if turn == 1:
            inside = objects.local("key")
    assert (inside / "a").read_text() == "1"
    assert len(list((tmp_path / ".folders" / "key").iterdir())) == 2


def test_the_store_may_be_moved(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "here")
    with objects.writing("deep/key/1") as folder:
        (folder / "a").write_text("1")
    objects.publish("deep/now", "deep/key/1")
    (tmp_path / "here").rename(tmp_path / "there")
    assert (FolderObjects(tmp_path / "there").local("deep/now") / "a").read_text() == "1"
