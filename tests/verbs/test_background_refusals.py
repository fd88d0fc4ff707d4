"""A server in the background that refuses its settings, or has nowhere to keep its state, is told in one line."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from ports import free_port
from waiting import PATIENCE

from vitrina.errors import ConfigError
from vitrina.verbs.background import Background, check_free


@pytest.mark.parametrize("line", ["error: VITRINA_X=1: write 2", '{"message": "error: VITRINA_X=1: write 2"}'])
def test_a_server_with_a_wrong_setting_says_which(tmp_path: Path, line: str) -> None:
    kept = Background(tmp_path)
    command = [sys.executable, "-c", f"print('begun'); print({line!r}); raise SystemExit(2)"]
    started = kept.start(command, host="127.0.0.1", port=free_port(), environment=os.environ)
    with pytest.raises(ConfigError) as told:
        kept.wait(*started, PATIENCE)
    assert str(told.value) == "VITRINA_X=1: write 2"
    assert not kept.pid_file.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/home cannot be made: Not a directory\. Name another"):
        Background(tmp_path / "file" / "home").start(["true"], host="127.0.0.1", port=free_port(), environment={})


def test_a_host_that_is_not_this_ones_is_not_taken_for_a_port() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:8017 cannot be listened on .*Choose another: --host$"):
        check_free("192.0.2.1", 8017)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=r"Choose another: --port$"):
        check_free("127.0.0.1", taken.getsockname()[1])
