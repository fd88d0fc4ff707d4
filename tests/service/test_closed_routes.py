"""Which routes need a token, by the settings; and what strangers get at each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from vitrina.storage.sql_accounts import SqlAccounts

Serve = Callable[..., Any]
ASKING = (
    ("POST", "/recommendations?user_id=1"),
    ("GET", "/similar_items?item_id=104"),
    ("POST", "/predict"),
    ("POST", "/predict_proba"),
    ("GET", "/random"),
)
ALWAYS = (("POST", "/send_data"), ("GET", "/users/me"))
ADMINS = (("GET", "/models"),)
OPEN = (("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/openapi.json"))
ROUTES = ASKING + ALWAYS + ADMINS + OPEN


def statuses(running: Any, routes: Any, token: str | None = None) -> set[int]:
    """Of both spellings of each, with and without a final slash where there are two."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    found = set()
    for method, target in routes:
        path, mark, query = target.partition("?")
        both = {path} if (method, target) in OPEN + ADMINS else {path, f"{path}/"}
        for one in both:
            body = {"product_list": ["80003"]} if path == "/send_data" else {}
            given = {"json": body} if path.startswith(("/predict", "/send_data")) else {}
            found.add(running.client.request(method, one + mark + query, headers=headers, **given).status_code)
    return found


@pytest.mark.parametrize(
    ("settings", "closed"),
    [
        ({}, ALWAYS),
        ({"require_token": "recommendations"}, ALWAYS + ASKING),
        ({"require_token": "admin"}, ALWAYS + ADMINS),
        ({"admin_token": "planted-admin"}, ALWAYS + ADMINS),
        ({"require_token": "recommendations,admin"}, ALWAYS + ASKING + ADMINS),
    ],
)
def test_groups_of_routes(serve: Serve, tmp_path: Path, settings: dict[str, str], closed: Any) -> None:
    with serve(tmp_path, bank=True, basket=True, **settings) as running:
        assert statuses(running, closed) == {401}
        assert statuses(running, set(ROUTES) - set(closed)) == {200}
        assert statuses(running, ROUTES, running.token("recommendations", "admin")) == {200}
        only_events = running.token("events")
        assert statuses(running, set(closed) - {("GET", "/users/me")}, only_events) == {403}
        paths = running.client.get("/openapi.json").json()["paths"]
        told = {(method.upper(), path) for path, of in paths.items() for method in of if "security" in of[method]}
        wanted = {(method, target.partition("?")[0]) for method, target in closed}
        assert {(method, path.rstrip("/")) for method, path in told} == wanted


def test_strangers_at_send_data(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=False, basket=True) as running:
        token = running.token()
        accounts = SqlAccounts.open(running.app.state.service.settings.state_address)
        (key,) = accounts.signing_keys()
        said = jwt.decode(token, options={"verify_signature": False})

        def made(secret: bytes = key.secret, kid: str = key.kid, algorithm: str = "HS256", **other: Any) -> str:
            return jwt.encode(said | other, secret, algorithm=algorithm, headers={"kid": kid})

        def asked(text: str) -> int:
            headers = {"authorization": f"Bearer {text}"}
            answer = running.client.post("/send_data", json={"product_list": ["80003"]}, headers=headers)
            if answer.status_code != 200:
                assert answer.headers["www-authenticate"].startswith("Bearer") and "80003" not in answer.text
            return int(answer.status_code)

        assert asked(token) == asked(made()) == 200, "the forger knows how"
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            another_algorithm = made(algorithm="HS512")
        forged = {
            "another key": made(b"x" * 32),
            "another kid": made(kid="0" * 16),
            "expired": made(exp=said["iat"] - 1),
            "another audience": made(aud="other"),
            "another issuer": made(iss="other"),
            "nobody": made(sub="eve"),
            "an older password": made(gen="0"),
            "another algorithm": another_algorithm,
            "alg none": jwt.encode(said, None, algorithm="none", headers={"kid": key.kid}),
            "no signature": token.rpartition(".")[0] + ".",
            "cut": token[:-1],
            "a query": "' OR '1'='1",
        }
        assert {forgery: asked(text) for forgery, text in forged.items()} == dict.fromkeys(forged, 401)
        (account,) = accounts.accounts()
        accounts.delete_account(account.name)
        running.until(lambda: asked(token) == 401)
