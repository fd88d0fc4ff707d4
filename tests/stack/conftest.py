"""One started stack for all tests of this folder; the ends of its logs beside every failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from composed_stack import Stack
from container_engine import Engine, EngineMissing
from telegram_server import CHAT_ID, TOKEN

TAG = "test"
_running: list[Stack] = []
_seconds: dict[str, float] = {}


@pytest.fixture(scope="session")
def engine() -> Engine:
    try:
        return Engine.find()
    except EngineMissing as error:
        pytest.skip(f"NO CONTAINER ENGINE: {error}")


@pytest.fixture(scope="session")
def stack(engine: Engine, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, healthy, with the real extract in S3 and no model yet."""
    _seconds.clear()
    stack = Stack(engine=engine, folder=tmp_path_factory.mktemp("stack"), tag=TAG)
    engine.seconds = _seconds
    engine.build_images(TAG)
    stack.configure(
        VITRINA_SEED_DATA=str(data_dir / "retailrocket"),
        VITRINA_TELEGRAM_TOKEN=TOKEN,
        VITRINA_TELEGRAM_CHAT_ID=CHAT_ID,
    )
    _running.append(stack)
    try:
        with engine.stage("start until healthy"):
            try:
                stack.up()
            except AssertionError as error:
                raise AssertionError(f"{error}\n{stack.said()}") from error
        yield stack
    finally:
        with engine.stage("stop"):
            stack.compose("down", "--volumes", "--remove-orphans")
        _running.remove(stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if report.failed and call.when == "call" and _running:
        report.sections.append(("the ends of the stack's logs", _running[0].said()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _seconds:
        terminalreporter.section("the stack's stages")
        for name, seconds in _seconds.items():
            terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
        terminalreporter.write_line(f"{sum(_seconds.values()):7.1f} s  together")
