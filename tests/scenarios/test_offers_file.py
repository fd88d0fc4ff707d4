"""A file of answers appears whole, whoever writes beside it, and nothing else is left in its folder."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitrina.errors import DataError
from vitrina.scenarios.offers_file import offers_file

HEADER = ("user", "item")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "offers" / "offers.csv"


def rows(out: Path) -> list[str]:
    return out.read_text(encoding="utf-8").split()


def alone(out: Path) -> bool:
    """Whether the file is all that its folder holds."""
    return [path.name for path in out.parent.iterdir()] == [out.name]


def broken() -> Iterator[tuple[int, str]]:
    yield 2, "b"
    raise RuntimeError("half-way")


def test_two_at_once_give_one_whole_file(out: Path) -> None:
    with offers_file(out, HEADER) as write:
        write([(1, "a")] * 3)
        with offers_file(out, HEADER) as other:
            other([(2, "b")] * 5_000)
        assert rows(out) == ["user,item", *["2,b"] * 5_000]
        write([(1, "a")] * 5_000)
    assert rows(out) == ["user,item", *["1,a"] * 5_003] and alone(out)


def test_the_failure_of_one_leaves_the_other_and_what_was_there(out: Path) -> None:
    with offers_file(out, HEADER) as write:
        write([(0, "z")])
    with offers_file(out, HEADER) as write:
        with pytest.raises(RuntimeError, match="half-way"), offers_file(out, HEADER) as failing:
            failing(broken())
        assert rows(out) == ["user,item", "0,z"]
        write([(1, "a")])
    assert rows(out) == ["user,item", "1,a"] and alone(out)


def test_what_a_killed_process_left_is_cleared_by_the_next(out: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom vitrina.scenarios.offers_file import offers_file\n"
        "with offers_file(Path(sys.argv[1]), ('user', 'item')) as write:\n"
        "    write([(1, 'a')])\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(out)], check=False, timeout=300)
    assert ended.returncode == -signal.SIGKILL and not out.exists() and len(list(out.parent.iterdir())) == 1
    with offers_file(out, HEADER) as write:
        write([(2, "b")])
    assert rows(out) == ["user,item", "2,b"] and alone(out)


def test_the_file_is_as_readable_as_any_other(out: Path) -> None:
    before = os.umask(0o022)
    try:
        with offers_file(out, HEADER):
            pass
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("many", [10_000, 1_000_000], ids=["at the end", "while writing"])
def test_no_room_is_told_and_leaves_what_was_there(out: Path, many: int) -> None:
    with offers_file(out, HEADER) as write:
        write([(0, "z")])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        with pytest.raises(DataError, match="cannot be written"), offers_file(out, HEADER) as write:
            write([(1, "a" * many)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert rows(out) == ["user,item", "0,z"] and alone(out)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out, says in ((tmp_path, "this is a folder"), (tmp_path / "file" / "offers.csv", "cannot be written")):
        with pytest.raises(DataError, match=rf"{out}: {says}.*--out FILE\.csv"), offers_file(out, HEADER):
            pass
    with pytest.raises(OSError, match="of the caller"), offers_file(tmp_path / "a.csv", HEADER):
        raise OSError("of the caller")
    assert alone(tmp_path / "file")
