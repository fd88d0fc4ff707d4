"""One started stack for all tests of this folder; the ends of its logs beside every failure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from composed_stack import Stack
from container_engine import REAL_IMAGES, TAG, Engine, EngineMissing
from telegram_server import CHAT_ID, TOKEN

from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world

_running: list[Stack] = []
_seconds: dict[str, float] = {}


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    terminal = request.config.get_terminal_writer()

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.line(f"\n[stack] {text}")
            terminal.flush()

    try:
        return Engine.find(say)
    except EngineMissing as error:
        pytest.skip(f"NO CONTAINER ENGINE: {error}")


@pytest.fixture(scope="session")
def first_events(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real extract; where there is none, a generated shop."""
    try:
        folder: Path = request.getfixturevalue("data_dir") / "retailrocket"
    except pytest.skip.Exception as missing:
        sys.stderr.write(f"{missing}\nA generated shop is used instead.\n")
        folder = tmp_path_factory.mktemp("shop")
        generate_world(WorldSpec(events=100_000, seed=3), folder)
    return folder


@pytest.fixture(scope="session")
def stack(engine: Engine, first_events: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, healthy, with the first events in S3 and no model yet."""
    _seconds.update(engine.seconds)
    stack = Stack(engine=engine, folder=tmp_path_factory.mktemp("stack"), tag=TAG)
    engine.seconds = _seconds
    engine.build_images(TAG)
    stack.configure(
        VITRINA_SEED_DATA=str(first_events),
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
            stack.down()
        _running.remove(stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if report.failed and call.when == "call" and _running:
        report.sections.append(("the ends of the stack's logs", _running[0].said()))
    if call.when == "teardown" and _seconds:
        report.user_properties.append(("closing words", _closing_words()))
    return report


def _closing_words() -> dict[str, list[str]]:
    together = sum(seconds for name, seconds in _seconds.items() if not name.startswith(" "))
    stages = [*_seconds.items(), ("together", together)]
    words = {"the stack's stages": [f"{seconds:7.1f} s  {name}" for name, seconds in stages]}
    if not REAL_IMAGES:
        words["GRAFANA WAS NOT STARTED"] = [
            "No image registry is reachable and nothing can stand in for it.",
            "Its configuration and every query of its dashboards are tested in tests/monitoring;",
            "VITRINA_REAL_IMAGES=1 starts it as well.",
        ]
    return words
