"""The service, with accounts and guarded routes of each kind, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI
from starlette.routing import Route
from waiting import PATIENCE, wait

from app.accounts.desk import SignInDesk
from app.accounts.guard import Guarded
from app.answering import send_json
from app.main import create_app
from app.settings import Settings
from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import register
from vitrina.storage.accounts import Account
from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate
from vitrina.storage.sql_accounts import SqlAccounts

PASSWORD = "planted-password"
CHEAP = Passwords(rounds=1, memory_kib=64, lanes=1)


@dataclass
class Clock:
    """Stands still until a test moves it, or goes on by `step` at every look; ms since the epoch."""

    now: int = 1_800_000_000_000
    step: int = 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now


@dataclass
class Shop:
    """A running service; `accounts` is its database, seen from outside."""

    url: str
    desk: SignInDesk
    accounts: SqlAccounts
    clock: Clock
    client: httpx.Client
    app: FastAPI
    people: dict[str, Account] = field(default_factory=dict)

    def register(self, name: str, **given: Any) -> Account:
        account = register(self.accounts, CHEAP, **{"name": name, "password": PASSWORD, "now": self.clock(), **given})
        self.people[name] = account
        return account

    def sign_in(self, name: str = "ann", password: str = PASSWORD, **fields: str) -> httpx.Response:
        return self.client.post("/token", data={"username": name, "password": password, **fields})

    def token(self, name: str = "ann", **fields: str) -> str:
        answer = self.sign_in(name, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.get(path, headers=headers)

    def until(self, status: int, path: str, token: str) -> None:
        """Waits for the status; what a process remembers of an account is a moment old, and older while its database
        is slow."""
        wait(lambda: self.get(path, token).status_code == status, pause=0.02)


class Bare:
    """A plain ASGI route."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send_json(send, {"caller": "let in"})


def with_routes_of_each_kind(app: FastAPI) -> FastAPI:
    """The service, and behind its own guard a route of each kind that there is."""
    guard = app.state.desk.guard
    app.router.routes.append(Route("/bare", Guarded(Bare(), guard, "recommendations")))
    app.router.routes.append(Route("/by-setting", guard.wrap(Bare(), "recommendations")))

    @app.get("/admin-by-setting", dependencies=guard.dependencies("admin"))
    async def admin_by_setting() -> dict[str, str]:
        return {"caller": "let in"}

    @app.get("/admin-only", dependencies=[Depends(guard.requires("admin"))])
    async def admin_only() -> dict[str, str]:
        return {"caller": "let in"}

    return app


@contextmanager
def served(app: FastAPI, clock: Clock) -> Iterator[Shop]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
    thread.start()
    wait(lambda: server.started or not thread.is_alive(), pause=0.01)
    assert server.started
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    accounts = SqlAccounts(open_engine(app.state.service.settings.state_address))
    try:
        with httpx.Client(base_url=url) as client:
            yield Shop(url=url, desk=app.state.desk, accounts=accounts, clock=clock, client=client, app=app)
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE)


def started(folder: Path, uri: str = "", *, passwords: Passwords = CHEAP, step: int = 0, **given: Any) -> Any:
    """The service over the database at the URI, or the embedded one of the folder; a context manager."""
    clock = Clock(step=step)
    settings = Settings(home=folder, state_uri=uri or None, access_log=True, slow_seconds=600, **given)
    app = create_app(settings, clock=clock, make_desk=partial(SignInDesk, passwords=passwords))
    return served(with_routes_of_each_kind(app), clock)


def with_people(shop: Shop) -> Shop:
    """The accounts ann (recommendations, events) and root (admin, too)."""
    migrate(shop.accounts.engine)
    shop.register("ann", full_name="Анна Ж.", email="ann@shop")
    shop.register("root", scopes=("recommendations", "events", "admin"))
    return shop


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """`serve(uri, **settings)`: a service of the test's own, or several over one database."""
    with ExitStack() as running:
        yield lambda *given, **settings: running.enter_context(started(tmp_path, *given, **settings))


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, serve: Callable[..., Shop]) -> Shop:
    """A service with ann and root, over either database."""
    return with_people(serve("" if request.param == "sqlite" else request.getfixturevalue("postgres")()))


@pytest.fixture
def embedded(serve: Callable[..., Shop]) -> Shop:
    """A service with ann and root, over the embedded database."""
    return with_people(serve())


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The same, shared by the tests of a module that do not change it."""
    with started(tmp_path_factory.mktemp("standing")) as running:
        yield with_people(running)
