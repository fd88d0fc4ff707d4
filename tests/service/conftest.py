"""The service over real sockets: uvicorn in a thread, in front of the toy world of tests/serving."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings


def _toy_world() -> ModuleType:
    path = Path(__file__).parents[1] / "serving" / "conftest.py"
    spec = importlib.util.spec_from_file_location("toy_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """`write_toy`, `write_toy_lists`, `load_toy` and `MemoryRegistry` of tests/serving/conftest.py."""
    return _toy_world()


@dataclass
class Running:
    """A served app; `client` keeps its connections."""

    app: FastAPI
    url: str
    home: Path
    registry: Any
    client: httpx.Client

    def until(self, true: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)


@pytest.fixture(scope="session")
def serve(toy: ModuleType) -> Callable[..., Any]:
    """A context manager that serves a fresh world: `with serve(folder, champion=..., **settings) as running`."""

    @contextmanager
    def start(home: Path, *, champion: bool = True, ids: Any = None, **settings: Any) -> Iterator[Running]:
        registry = toy.MemoryRegistry()
        if champion:
            registry.publish("1", toy.write_toy(home / "made" / "1", items=ids))
            toy.write_toy_lists(toy.FolderObjects(home / "objects"), "storefront/lists", "a", items=ids, users=ids)
        app = create_app(
            Settings(home=home, poll_seconds=0.05, **settings),
            source=registry,
            load=toy.load_toy,
            clock=lambda: toy.NOW,
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline
            assert thread.is_alive()
            time.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            with httpx.Client(base_url=url) as client:
                yield Running(app=app, url=url, home=home, registry=registry, client=client)
        finally:
            server.should_exit = True
            thread.join(timeout=30)

    return start


@pytest.fixture(scope="module")
def running(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The toy world, served; shared by the tests of a module that do not change it."""
    with serve(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Running) -> httpx.Client:
    return running.client
