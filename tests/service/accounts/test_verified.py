"""A token's signature is checked once; all else is asked of it at each request."""

from __future__ import annotations

import jwt
import pytest

from app.accounts.verified import VerifiedTokens
from vitrina.accounts.signing import Rotation, new_key, replace_keys
from vitrina.accounts.tokens import Claims

KEY = new_key(1, used_from=1)


def claims(name: str) -> Claims:
    return Claims(name=name, generation="1", scopes=("events",), expires=2)


def test_a_token_is_known_by_all_of_it_and_the_oldest_goes_first() -> None:
    known = VerifiedTokens(most=2)
    for name in ("a", "b", "c"):
        known.put(f"token-{name}", KEY, claims(name))
    assert known.get("token-a") is None
    assert [known.get(f"token-{name}") for name in "bc"] == [(KEY, claims("b")), (KEY, claims("c"))]
    for other in ("token-", "token-bb", "token-B", ""):
        assert known.get(other) is None
    assert not [one for one in vars(known).values() if "token-b" in repr(one)], "none can be read from memory"


def test_the_signature_is_checked_once(embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    token = embedded.token()
    assert embedded.get("/bare", token).status_code == 200
    checked: list[object] = []
    honest = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *given, **options: checked.append(given) or honest(*given, **options))
    assert embedded.get("/bare", token).status_code == 200
    assert embedded.get("/bare", token[:-4] + "AAAA").status_code == 401
    assert len(checked) == 1, "of the other one alone"


def test_a_remembered_token_expires(embedded) -> None:
    token = embedded.token()
    assert embedded.get("/bare", token).status_code == 200
    embedded.clock.now += 60 * 60 * 1000
    answer = embedded.get("/bare", token)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (401, "the token has expired")


def test_a_remembered_token_ends_with_its_key(serve, embedded) -> None:
    """In another process, which learns of it when it asks for the keys again."""
    other, token = serve(), embedded.token()
    assert other.get("/bare", token).status_code == 200
    replace_keys(embedded.accounts, Rotation(), revoke=True, now=embedded.clock())
    other.until(401, "/bare", token)


def test_a_remembered_token_ends_with_its_account_and_may_do_what_that_may_now(embedded) -> None:
    token = embedded.token("root")
    assert embedded.get("/admin-only", token).status_code == 200
    embedded.accounts.change_account("root", scopes=("recommendations",))
    embedded.until(403, "/admin-only", token)
    assert embedded.get("/bare", token).status_code == 200
    embedded.accounts.delete_account("root")
    embedded.until(401, "/bare", token)
