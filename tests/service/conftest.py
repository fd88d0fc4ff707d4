"""The service over real sockets: uvicorn in a thread, in front of the toy world of tests/serving."""

from __future__ import annotations

import threading
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
from loaded import module_at
from waiting import PATIENCE, wait

from app.main import create_app
from app.settings import Settings
from vitrina.accounts.api_keys import make_api_key
from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import register
from vitrina.accounts.scopes import USUAL
from vitrina.storage.sql_accounts import SqlAccounts

PASSWORD = "planted-password"
CHEAP = Passwords(rounds=1, memory_kib=64, lanes=1)


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """`write_toy`, `write_toy_lists`, `load_toy` and `MemoryRegistry` of tests/serving/conftest.py."""
    return module_at("toy_world", Path(__file__).parents[1] / "serving" / "conftest.py")


@dataclass
class Running:
    """A served app; `client` keeps its connections."""

    app: FastAPI
    url: str
    home: Path
    registry: Any
    bank_registry: Any
    basket_registry: Any
    client: httpx.Client

    def token(self, *scopes: str) -> str:
        """An access token of a new account with these scopes, or the usual ones."""
        settings = self.app.state.service.settings
        accounts = SqlAccounts.open(settings.state_address)
        name = f"somebody-{len(accounts.accounts())}"
        register(accounts, CHEAP, name=name, password=PASSWORD, scopes=scopes or USUAL, now=0)
        answer = self.client.post("/token", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def api_key(self, *scopes: str) -> str:
        """An API key of a new account with these scopes."""
        accounts = SqlAccounts.open(self.app.state.service.settings.state_address)
        name = f"program-{len(accounts.accounts())}"
        account = register(accounts, CHEAP, name=name, password=PASSWORD, scopes=scopes, now=0)
        return make_api_key(accounts, account, scopes=(), expires=None, now=0)[1]

    def until(self, true: Callable[[], bool]) -> None:
        wait(true, pause=0.01)


@pytest.fixture(scope="session")
def serve(toy: ModuleType) -> Callable[..., Any]:
    """A context manager that serves a fresh world: `with serve(folder, champion=..., **settings) as running`.

    `champion`: the storefront has one; `bank`: so has the bank, with one probability for all products; `basket`: so
    has the basket. `keep_alive`: for how many seconds a connection may be idle. No answer is slow unless
    `slow_seconds` is given: a line about one would depend on the machine.
    """

    @contextmanager
    def start(
        home: Path,
        *,
        champion: bool = True,
        bank: bool = False,
        bank_probability: float = 0.25,
        basket: bool = False,
        ids: Any = None,
        keep_alive: int = 5,
        **settings: Any,
    ) -> Iterator[Running]:
        registry, bank_registry, basket_registry = (toy.MemoryRegistry() for _ in range(3))
        if bank:
            bank_registry.publish("1", toy.write_bank(home / "made" / "bank" / "1", bank_probability))
        if basket:
            basket_registry.publish("1", toy.write_basket(home / "made" / "basket" / "1"))
        if champion:
            registry.publish("1", toy.write_toy(home / "made" / "1", items=ids))
            toy.write_toy_lists(toy.FolderObjects(home / "objects"), "storefront/lists", "a", items=ids, users=ids)
        app = create_app(
            Settings(home=home, **{"poll_seconds": 0.05, "slow_seconds": 600, **settings}),
            **toy.wired(registry, bank_products=bank_registry, basket=basket_registry),
            clock=lambda: toy.NOW,
        )
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", access_log=False, timeout_keep_alive=keep_alive
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
        thread.start()
        wait(lambda: server.started or not thread.is_alive(), pause=0.01)
        assert server.started
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            with httpx.Client(base_url=url) as client:
                yield Running(
                    app=app,
                    url=url,
                    home=home,
                    registry=registry,
                    bank_registry=bank_registry,
                    basket_registry=basket_registry,
                    client=client,
                )
        finally:
            server.should_exit = True
            thread.join(timeout=PATIENCE)

    return start


@pytest.fixture(scope="module")
def running(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The toy world, served; shared by the tests of a module that do not change it."""
    with serve(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Running) -> httpx.Client:
    return running.client
