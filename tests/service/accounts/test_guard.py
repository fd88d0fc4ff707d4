"""Who is let in: every forged, stale or foreign token is refused, and what is revoked ends at once."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from app.accounts.guard import Guard
from vitrina.accounts.api_keys import make_api_key
from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import change_password, end_all_tokens
from vitrina.accounts.signing import Rotation, new_key, replace_keys
from vitrina.accounts.tokens import TokenRules
from vitrina.errors import ConfigError

PASSWORD = "planted-password"


def refused(answer: Any, *, status: int = 401) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Traceback" not in answer.text
    return answer.json()["error"]["reason"]


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims))
    return ".".join([*parts, signature])


FORGERIES = {
    "another key": lambda claims, key: jwt.encode(claims, b"x" * 32, headers={"kid": key.kid}),
    "another kid": lambda claims, key: jwt.encode(claims, key.secret, headers={"kid": "0" * 16}),
    "a kid that is a path": lambda claims, key: jwt.encode(claims, b"x" * 32, headers={"kid": "../../dev/null"}),
    "a kid that is SQL": lambda claims, key: jwt.encode(claims, b"x" * 32, headers={"kid": "' OR '1'='1"}),
    "no kid": lambda claims, key: jwt.encode(claims, key.secret),
    "a key of its own inside": lambda claims, key: jwt.encode(
        claims, b"x" * 32, headers={"kid": key.kid, "jwk": {"kty": "oct", "k": "eHh4eHh4"}, "jku": "http://127.0.0.1/"}
    ),
    "expired": lambda claims, key: jwt.encode(
        claims | {"exp": claims["iat"] - 1}, key.secret, headers={"kid": key.kid}
    ),
    "another audience": lambda claims, key: jwt.encode(claims | {"aud": "b"}, key.secret, headers={"kid": key.kid}),
    "another issuer": lambda claims, key: jwt.encode(claims | {"iss": "b"}, key.secret, headers={"kid": key.kid}),
    "another generation": lambda claims, key: jwt.encode(claims | {"gen": "0"}, key.secret, headers={"kid": key.kid}),
    "nobody's name": lambda claims, key: jwt.encode(claims | {"sub": "eve"}, key.secret, headers={"kid": key.kid}),
    "SQL for a name": lambda claims, key: jwt.encode(
        claims | {"sub": "' OR '1'='1"}, key.secret, headers={"kid": key.kid}
    ),
    "NUL for a name": lambda claims, key: jwt.encode(claims | {"sub": "ann\0"}, key.secret, headers={"kid": key.kid}),
    "alg none": lambda claims, key: by_hand({"alg": "none", "kid": key.kid}, claims),
    "alg None": lambda claims, key: by_hand({"alg": "None", "kid": key.kid}, claims),
    "no signature": lambda claims, key: by_hand({"alg": "HS256", "kid": key.kid}, claims),
    "scopes added": lambda claims, key: by_hand(
        {"alg": "HS256", "kid": key.kid},
        claims | {"scope": "admin"},
        jwt.encode(claims, key.secret, headers={"kid": key.kid}).split(".")[2],
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_opens_nothing(standing, forgery: str) -> None:
    token = standing.token()
    (key,) = standing.accounts.signing_keys()
    genuine = jwt.encode(claims_of(token), key.secret, headers={"kid": key.kid})
    assert standing.get("/users/me", genuine).status_code == 200, "the forger knows how"
    forged = FORGERIES[forgery](claims_of(token), key)
    for path in ("/users/me", "/users/me/", "/bare", "/admin-only"):
        refused(standing.get(path, forged))


def test_without_a_token(shop) -> None:
    for path in ("/users/me", "/users/me/", "/bare", "/admin-only"):
        answer = shop.client.get(path)
        assert refused(answer) == "no token was sent"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert shop.client.get("/bare?access_token=" + shop.token()).status_code == 401, "not in an address"


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic YW5uOnBsYW50ZWQ=", "Bearer x y", "bearer", "Token x", "Bearer é"]
)
def test_headers_that_are_none(standing, value: str) -> None:
    refused(standing.client.get("/bare", headers={"Authorization": value.encode("latin-1")}))


def test_two_tokens_are_none(standing) -> None:
    token = standing.token()
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert refused(standing.client.get("/bare", headers=twice)) == "several tokens were sent"
    assert refused(standing.get("/bare", token, **{"X-API-Key": "vtr_"})) == "several tokens were sent"


def test_scopes_open_their_routes_and_no_other(shop) -> None:
    ann, root = shop.token(), shop.token("root")
    assert shop.get("/bare", ann).json() == {"caller": "let in"}
    answer = shop.get("/admin-only", ann)
    assert "no scope 'admin'" in refused(answer, status=403)
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
    assert shop.get("/admin-only", root).json() == {"caller": "let in"}
    shop.accounts.change_account("root", scopes=("recommendations",))
    shop.until(403, "/admin-only", root)


def test_the_token_of_a_deleted_account_ends(shop) -> None:
    token = shop.token()
    assert shop.get("/users/me", token).status_code == 200
    shop.accounts.delete_account("ann")
    shop.until(401, "/users/me", token)
    shop.register("ann")
    for path in ("/users/me", "/bare"):
        assert refused(shop.get(path, token)) == "the token does not hold any more"
    assert shop.get("/users/me", shop.token()).status_code == 200


def test_another_password_ends_the_tokens_of_the_old_one(shop) -> None:
    token, others = shop.token(), shop.token("root")
    assert shop.get("/users/me", token).status_code == 200
    change_password(shop.accounts, Passwords(rounds=1, memory_kib=64, lanes=1), "ann", "another-password")
    shop.until(401, "/users/me", token)
    refused(shop.sign_in())
    assert shop.sign_in(password="another-password").status_code == 200
    assert shop.get("/users/me", others).status_code == 200


def test_a_disabled_account_is_kept_out(shop) -> None:
    token = shop.token()
    shop.accounts.change_account("ann", disabled=True)
    shop.until(401, "/users/me", token)
    refused(shop.sign_in())


def test_an_api_key_does_what_it_was_made_for(shop) -> None:
    key, text = make_api_key(
        shop.accounts, shop.people["root"], scopes=["recommendations"], expires=shop.clock() + 10, now=shop.clock()
    )
    for headers in ({"X-API-Key": text}, {"Authorization": f"Bearer {text}"}):
        assert shop.client.get("/bare", headers=headers).status_code == 200
        assert shop.client.get("/users/me", headers=headers).json()["username"] == "root"
        refused(shop.client.get("/admin-only", headers=headers), status=403)
    refused(shop.get("/bare", text[:-1] + ("A" if text[-1] != "A" else "B")))
    refused(shop.get("/bare", text.replace(key.key_id, "0" * 12)))
    shop.clock.now += 10
    refused(shop.get("/bare", text))
    shop.clock.now -= 10
    assert shop.get("/bare", text).status_code == 200
    shop.accounts.delete_api_key(key.key_id)
    shop.until(401, "/bare", text)


def test_keys_are_replaced_and_the_tokens_of_the_old_one_live_on(embedded) -> None:
    old = embedded.token()
    replace_keys(embedded.accounts, Rotation(), revoke=False, now=embedded.clock())
    assert embedded.get("/bare", embedded.token()).status_code == 200
    embedded.clock.now += Rotation().notice_ms
    new = embedded.token()
    kids = {jwt.get_unverified_header(token)["kid"] for token in (old, new)}
    assert len(kids) == 2
    for token in (old, new):
        assert embedded.get("/bare", token).status_code == 200
    replace_keys(embedded.accounts, Rotation(), revoke=True, now=embedded.clock())
    assert embedded.get("/bare", embedded.token()).status_code == 200
    for token in (old, new):
        refused(embedded.get("/bare", token))


def test_a_process_learns_of_a_key_that_another_made(serve, embedded) -> None:
    other = serve()
    assert other.get("/bare", embedded.token()).status_code == 200
    replace_keys(embedded.accounts, Rotation(), revoke=True, now=embedded.clock())
    token = embedded.token()
    other.until(200, "/bare", token)


@pytest.mark.parametrize("secrets", [None, "s" * 32])
def test_all_tokens_are_ended_whatever_signs_them(serve, secrets: str | None) -> None:
    several = [serve(token_secrets=secrets) for _ in range(2)]
    several[0].desk.accounts()
    for name in ("ann", "bob"):
        several[0].register(name)
    tokens = [several[0].token(name) for name in ("ann", "bob")]
    for shop in several:
        assert [shop.get("/bare", token).status_code for token in tokens] == [200, 200]
    assert end_all_tokens(several[0].accounts) == 2
    for shop in several:
        for token in tokens:
            shop.until(401, "/bare", token)
    assert several[1].get("/bare", several[0].token()).status_code == 200, "whoever signs in anew is let in"


def test_secrets_of_the_settings_sign_and_the_older_ones_still_hold(serve, tmp_path) -> None:
    before = serve(token_secrets="o" * 32)
    before.desk.accounts()
    before.register("ann")
    old = before.token()
    after = serve(token_secrets="n" * 32 + "," + "o" * 32)
    assert after.get("/bare", old).status_code == 200
    assert after.get("/bare", after.token()).status_code == 200
    refused(before.get("/bare", after.token()))
    assert before.accounts.signing_keys() == [], "none is in the database"


def test_the_token_of_the_settings_is_an_administrators(serve) -> None:
    shop = serve(admin_token="planted-admin")
    assert shop.get("/admin-only", "planted-admin").status_code == 200
    refused(shop.get("/bare", "planted-admin"), status=403)
    assert shop.get("/users/me", "planted-admin").status_code == 403
    for wrong in ("planted-admi", "planted-adminn", "Planted-admin", "é"):
        refused(shop.client.get("/admin-only", headers={"Authorization": f"Bearer {wrong}".encode("latin-1")}))


@pytest.mark.parametrize("admin_token", [None, "", " ", "planted-admin"])
@pytest.mark.parametrize("sent", [{"X-API-Key": ""}, {"Authorization": "Bearer"}])
def test_an_empty_key_is_nobodys(serve, admin_token: str | None, sent: dict[str, str]) -> None:
    shop = serve(admin_token=admin_token)
    for path in ("/admin-only", "/users/me", "/bare"):
        refused(shop.client.get(path, headers=sent))


def test_a_guard_takes_an_empty_token_for_none() -> None:
    guard = Guard(accounts=AssertionError, signing_keys=tuple, rules=TokenRules(), now=int, admin_token="")
    assert guard.required == frozenset()


@pytest.mark.parametrize(
    ("settings", "closed"),
    [
        ({}, []),
        ({"admin_token": ""}, []),
        ({"require_token": "recommendations"}, ["/by-setting"]),
        ({"require_token": " admin, events,"}, ["/admin-by-setting"]),
        ({"require_token": "admin,recommendations"}, ["/by-setting", "/admin-by-setting"]),
        ({"admin_token": "planted-admin"}, ["/admin-by-setting"]),
    ],
)
def test_groups_of_the_settings(serve, settings: dict[str, str], closed: list[str]) -> None:
    shop = serve(**settings)
    for path in ("/by-setting", "/admin-by-setting"):
        if path in closed:
            refused(shop.client.get(path))
        else:
            assert shop.client.get(path).json() == {"caller": "let in"}


def test_an_unknown_group_is_refused_at_the_start(serve) -> None:
    with pytest.raises(ConfigError, match="VITRINA_REQUIRE_TOKEN: 'everything' is not known"):
        serve(require_token="everything")
    with pytest.raises(ConfigError, match="VITRINA_TOKEN_SECRETS"):
        serve(token_secrets="changeme")


@pytest.mark.parametrize("key", ["wrong", "vtr_0123456789ab_wrong"])
def test_a_wrong_key_is_told_as_a_key(standing, key: str) -> None:
    answer = standing.client.get("/users/me", headers={"x-api-key": key})
    assert refused(answer) == "the API key is wrong or does not hold any more"
    assert "vitrina users key" in answer.json()["error"]["remedy"]
    assert "Sign in" in standing.client.get("/users/me", headers={"authorization": "Bearer wrong"}).text


def test_a_foreign_key_is_no_key_of_ours(standing) -> None:
    token = standing.token()
    foreign = new_key(standing.clock(), used_from=standing.clock())
    refused(standing.get("/bare", jwt.encode(claims_of(token), foreign.secret, headers={"kid": foreign.kid})))
