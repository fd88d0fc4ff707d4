import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vitrina.storage.building import building, locked, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_stands_only_when_it_is_finished(tmp_path: Path) -> None:
    with building(tmp_path / "deep" / "model") as staged:
        (staged / "a").write_text("1")
        assert not (tmp_path / "deep" / "model").exists()
    assert names(tmp_path / "deep") == ["model"]
    assert (tmp_path / "deep" / "model" / "a").read_text() == "1"


def _interrupted(target: Path) -> None:
    with building(target) as staged:
        (staged / "a").write_text("new")
        raise KeyboardInterrupt


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    with building(tmp_path / "model") as staged:
        (staged / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "model")
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "a").read_text() == "old"


def test_a_folder_may_be_built_inside_one_that_is_being_built(tmp_path: Path) -> None:
    with building(tmp_path / "outer") as outer, building(outer) as inner:
        (inner / "a").write_text("1")
    assert names(tmp_path) == ["outer"]
    assert names(tmp_path / "outer") == ["a"]


DIE_WHILE_BUILDING = """
import os, signal, sys
from pathlib import Path
from vitrina.storage.building import building

with building(Path(sys.argv[1])) as staged:
    (staged / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_and_what_lives_is_not(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", DIE_WHILE_BUILDING, str(tmp_path / "[m]")], check=False)
    assert child.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    with building(tmp_path / "[m]") as alive:
        (alive / "mine").touch()
        with building(tmp_path / "[m]") as other:
            (other / "theirs").touch()
        assert names(tmp_path / "[m]") == ["theirs"]
        assert names(alive) == ["mine"]
    assert names(tmp_path) == ["[m]"]
    assert names(tmp_path / "[m]") == ["mine"]


def test_many_builders_of_one_folder(tmp_path: Path) -> None:
    def build(number: int) -> None:
        for _ in range(40):
            with building(tmp_path / "model") as staged:
                (staged / "a").write_text(str(number))
                (staged / "b").write_text(str(number))

    threads = [threading.Thread(target=build, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "a").read_text() == (tmp_path / "model" / "b").read_text()


def test_the_lock_lets_one_in(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(number: int) -> None:
        with locked(tmp_path):
            inside.append(number)
            assert inside == [number]
            inside.remove(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "aliases.json", b"1")
    write_whole(tmp_path / "deep" / "aliases.json", b"22")
    assert (tmp_path / "deep" / "aliases.json").read_bytes() == b"22"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"1")
    assert names(tmp_path) == ["deep", "taken"]
