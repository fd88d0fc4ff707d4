"""Guessing, injecting, listening to the clock and reading the log: what strangers try at a running service."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from threading import Event
from time import process_time, thread_time
from typing import Any

import httpx
import pytest
from sqlalchemy.event import listen
from waiting import PATIENCE

from vitrina.accounts.api_keys import make_api_key
from vitrina.accounts.passwords import Checked, Passwords
from vitrina.accounts.registration import register
from vitrina.accounts.tokens import TokenRules, make_token
from vitrina.storage.sql_accounts import SqlAccounts
from vitrina.telemetry import logs

PASSWORD = "planted-password"
INJECTIONS = (
    "' OR '1'='1",
    "ann'--",
    "ann' UNION SELECT * FROM accounts --",
    "'; DROP TABLE accounts; --",
    "ann\r\nX-Planted: 1",
    "ann\nSet-Cookie: planted=1",
    "ann\0",
    "ann%00",
    "ann\u2028{}",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "../../ann",
    "x" * 3_000,
    "аnn",  # the first letter is Cyrillic
)


def raw(shop, head: bytes, body: bytes = b"") -> bytes:
    """What the service answers to bytes as they are."""
    host, port = shop.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.replace(b"HOST", host.encode()) + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


def test_a_thousand_wrong_passwords(embedded) -> None:
    def guess(number: int) -> httpx.Response:
        return embedded.sign_in("ann", f"wrong-{number}")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(1_000)))
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 995}
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}, "the lock is not a second old"
    embedded.clock.now += 1_000
    late = embedded.sign_in()
    assert late.status_code == 429, "nor is the right one tried"
    assert late.json()["error"] == {"reason": "too many sign-ins have failed", "remedy": "Try again in 59 s"}
    assert late.headers["retry-after"] == "59"
    assert embedded.token("root"), "others get in from there"
    embedded.clock.now += 59_000
    assert embedded.token()


def test_an_address_that_a_caller_makes_up_gives_few_guesses(embedded) -> None:
    def guess(number: int) -> int:
        form = {"username": "ann", "password": f"wrong-{number}"}
        return embedded.client.post("/token", data=form, headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code

    assert Counter(guess(number) for number in range(70)) == {401: 50, 429: 20}


def test_processes_count_together(serve, embedded) -> None:
    shops = [embedded, serve()]
    answers = [shops[number % 2].sign_in("ann", "wrong").status_code for number in range(8)]
    assert answers == [401] * 5 + [429] * 3


class Counted(Passwords):
    """Real passwords that remember the processor time of each check."""

    def __init__(self, **cost: int) -> None:
        super().__init__(**cost)
        self.took: list[float] = []

    def check(self, password: str, kept: str | None) -> Checked:
        begun = thread_time()
        found = super().check(password, kept)
        self.took.append(thread_time() - begun)
        return found


def test_known_and_unknown_names_cost_the_same_work(serve) -> None:
    """In processor time, the least of many, so that neighbours do not matter."""
    passwords = Counted(rounds=1, memory_kib=16_384, lanes=1)
    shop = serve(passwords=passwords)
    asked: list[str] = []
    accounts = shop.desk.accounts()
    register(accounts, passwords, name="ann", password=PASSWORD, now=0)
    listen(accounts.engine, "before_cursor_execute", lambda _c, _k, text, *_: asked.append(text))
    names = ("ann", "eve")
    statements: dict[str, list[str]] = {}
    checks: dict[str, list[float]] = {name: [] for name in names}
    answers: dict[str, list[float]] = {name: [] for name in names}
    for number in range(20):
        for name in names[:: 1 if number % 2 else -1]:
            asked.clear()
            passwords.took.clear()
            begun = process_time()
            assert shop.sign_in(name, "wrong").status_code == 401
            answers[name].append(process_time() - begun)
            assert len(passwords.took) == 1, name
            checks[name] += passwords.took
            assert statements.setdefault(name, list(asked)) == asked
        shop.clock.now += 24 * 60 * 60 * 1000
    assert statements["ann"] == statements["eve"] and len(statements["ann"]) > 2
    for took in (checks, answers):
        assert 0.5 < min(took["ann"]) / min(took["eve"]) < 2, {name: min(took[name]) for name in names}
    assert min(checks["eve"]) > 0.3 * min(answers["eve"]), "a check that was left out would show in the answers"


def test_injections_get_nobody_in(shop) -> None:
    for text in INJECTIONS:
        for name, password in ((text, PASSWORD), ("ann", text), (text, text)):
            answer = shop.sign_in(name, password)
            assert answer.status_code == 401, text
            assert "planted" not in str(answer.headers).lower() and "planted" not in answer.text, text
        shop.clock.now += 24 * 60 * 60 * 1000
        encoded = text.encode("utf-8").translate(None, b"\r\n\0")
        for headers in ({"Authorization": b"Bearer " + encoded}, {"X-API-Key": encoded}):
            assert shop.client.get("/users/me", headers=headers).status_code == 401, text
    assert [one.name for one in shop.accounts.accounts()] == ["ann", "root"]
    assert shop.token()


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer ",
        b"Authorization: \t",
        b"Authorization: Bearer a\rX-Planted: 1",
        b"Authorization: Bearer a\r\n X-Planted: 1",
        b"Authorization: Bearer \x00",
        b"Authorization: Bearer \xff\xfe",
        b"X-API-Key: vtr_\x7f",
        b"X-API-Key:",
    ],
)
def test_headers_that_are_broken_on_purpose(standing, line: bytes) -> None:
    answer = raw(standing, b"GET /users/me HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + line)
    assert answer.split(b" ", 2)[1] in (b"400", b"401")
    assert b"planted" not in answer.lower()


def test_too_many_sign_ins_at_once_are_put_off(serve, embedded, monkeypatch) -> None:
    monkeypatch.setattr("app.accounts.desk.UNDER_WAY_AT_MOST", 4)
    free = Event()

    class Held(Passwords):
        """Real passwords whose check ends when it is let go."""

        def check(self, password: str, kept: str | None) -> Checked:
            assert free.wait(PATIENCE)
            return super().check(password, kept)

    shop = serve(passwords=Held(rounds=1, memory_kib=64, lanes=1))
    with ThreadPoolExecutor(12) as pool:
        try:
            asked = [pool.submit(shop.sign_in, "root", PASSWORD) for _ in range(12)]
            put_off = [one.result() for one in islice(as_completed(asked, timeout=PATIENCE), 8)]
        finally:
            free.set()
        answers = [one.result() for one in asked]
    assert [(one.status_code, one.headers["retry-after"]) for one in put_off] == [(429, "1")] * 8
    assert Counter(one.status_code for one in answers) == {200: 4, 429: 8}


def test_a_flood_of_made_up_keys(embedded, monkeypatch) -> None:
    monkeypatch.setattr("app.accounts.remembered.FROM_ONE_NETWORK", 3)
    monkeypatch.setattr("app.accounts.remembered.PATIENCE_SECONDS", PATIENCE)
    keys = {
        name: make_api_key(embedded.accounts, embedded.people[name], scopes=(), expires=None, now=1)[1]
        for name in ("ann", "root")
    }
    look, free = SqlAccounts.api_key, Event()

    def look_when_free(accounts: SqlAccounts, key_id: str) -> Any:
        assert not key_id.startswith("0" * 8) or free.wait(PATIENCE)
        return look(accounts, key_id)

    assert embedded.get("/bare", keys["ann"]).status_code == 200
    monkeypatch.setattr(SqlAccounts, "api_key", look_when_free)
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with ThreadPoolExecutor(9) as pool, httpx.Client(base_url=embedded.url, transport=elsewhere) as other:
        try:
            made_up = [pool.submit(embedded.get, "/bare", f"vtr_{one:012x}_{'A' * 43}") for one in range(8)]
            refused = [one.result() for one in islice(as_completed(made_up, timeout=PATIENCE), 5)]
            assert [(one.status_code, one.headers["retry-after"]) for one in refused] == [(429, "1")] * 5
            assert embedded.get("/bare", keys["root"]).status_code == 429, "new here, from the network of the flood"
            new = pool.submit(other.get, "/bare", headers={"X-API-Key": keys["root"]})
            embedded.accounts.delete_account("ann")
            embedded.until(401, "/bare", keys["ann"])
        finally:
            free.set()
        assert new.result().status_code == 200
        assert Counter(one.result().status_code for one in made_up) == {401: 3, 429: 5}


def test_no_secret_reaches_the_log(embedded, capfd, monkeypatch) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure({"VITRINA_LOG_LEVEL": "debug"}, terminal=False)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)  # statements, as a developer may ask for
    try:
        _, text = make_api_key(embedded.accounts, embedded.people["ann"], scopes=(), expires=None, now=1)
        token = embedded.token()
        secrets = [PASSWORD, "typed-wrong-secret", "typed-as-name", token, token.split(".")[2], text, text[17:]]
        secrets += [account.password_hash for account in embedded.accounts.accounts()]
        for sent in (token, text, token[:-2], text[:-2]):
            embedded.get("/users/me", sent)
            embedded.get("/admin-only", sent)
            headers = {"Authorization": f"Bearer {sent}"}
            embedded.client.post("/send_data", json={"product_list": [PASSWORD]}, headers=headers)
        for _ in range(7):
            embedded.sign_in("ann", "typed-wrong-secret")
        embedded.sign_in("typed-as-name", PASSWORD)
        embedded.client.post("/token", data={"username": PASSWORD})
        embedded.sign_in("ann", grant_type="typed-wrong-secret")
        embedded.client.post("/token", json={"username": "ann", "password": PASSWORD})
        monkeypatch.setattr(SqlAccounts, "account", lambda *_: 1 / 0)
        assert embedded.sign_in("root").status_code == 500
        embedded.clock.now += 1
        assert embedded.get("/users/me", token_of(embedded, "root")).status_code == 500
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in ("sqlalchemy.engine", *logs.OURS):
            logging.getLogger(name).setLevel(logging.NOTSET)
    said = capfd.readouterr().err
    for line in ("/token 401", "/token 429", "ZeroDivisionError", " account=ann\n", "INSERT INTO sign_ins"):
        assert line in said
    assert [secret for secret in secrets if secret in said] == []


def token_of(shop: Any, name: str) -> str:
    """A token as the service makes it, without asking the database for the account."""
    (key,) = shop.accounts.signing_keys()
    return make_token(shop.people[name], ("admin",), key, TokenRules(), now=shop.clock())
