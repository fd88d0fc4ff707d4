"""Tokens: what was signed is read again, and nothing else is."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest

from vitrina.accounts.signing import new_key
from vitrina.accounts.tokens import Claims, TokenRules, kid_of, make_token, read_token, verify_account
from vitrina.errors import TokenError
from vitrina.storage.accounts import Account

NOW = 1_800_000_000_500
RULES = TokenRules(lifetime_ms=60_000)
KEY = replace(new_key(NOW, used_from=NOW), secret=b"s" * 64)  # long enough for the other algorithms, too
ANN = Account(
    name="ann", full_name="", email="", password_hash="h", scopes=("events", "admin"), generation="g1", created=1
)
GOOD: dict[str, Any] = {
    "iss": "vitrina",
    "aud": "vitrina",
    "sub": "ann",
    "iat": NOW // 1000,
    "exp": NOW // 1000 + 60,
    "gen": "g1",
    "scope": "events",
}


def forged(claims: dict[str, Any] | None = None, *, secret: bytes = KEY.secret, alg: str = "HS256", **header) -> str:
    return jwt.encode(GOOD | (claims or {}), secret, algorithm=alg, headers={"kid": KEY.kid, **header})


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims))
    return ".".join([*parts, signature])


def test_what_was_signed_is_read_again() -> None:
    token = make_token(ANN, ("events",), KEY, RULES, now=NOW)
    assert kid_of(token) == KEY.kid
    claims = Claims(name="ann", generation="g1", scopes=("events",), expires=(NOW // 1000 + 60) * 1000)
    assert read_token(token, KEY, RULES, now=NOW) == claims
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": KEY.kid, "typ": "JWT"}


def test_it_expires_to_the_second() -> None:
    token = make_token(ANN, (), KEY, RULES, now=NOW)
    end = (NOW // 1000 + 60) * 1000
    assert read_token(token, KEY, RULES, now=end - 1).expires == end
    for now in (end, end + 1, end * 2):
        with pytest.raises(TokenError, match="expired"):
            read_token(token, KEY, RULES, now=now)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(forged({"aud": "another"}), id="another audience"),
        pytest.param(forged({"aud": ["vitrina", "another"]}), id="several audiences"),
        pytest.param(forged({"aud": None}), id="no audience"),
        pytest.param(forged({"iss": "another"}), id="another issuer"),
        pytest.param(forged(secret=b"x" * 32), id="another key"),
        pytest.param(forged(alg="HS512"), id="another algorithm"),
        pytest.param(forged({"exp": "1900000000"}), id="expiry as text"),
        pytest.param(forged({"exp": 1.9e9}), id="expiry as float"),
        pytest.param(forged({"exp": True}), id="expiry as truth"),
        pytest.param(forged({"exp": float("inf")}), id="expiry never"),
        pytest.param(forged({"exp": None}), id="no expiry"),
        pytest.param(forged({"sub": ["ann"]}), id="name as list"),
        pytest.param(forged({"gen": 1}), id="generation as number"),
        pytest.param(forged({"scope": ["admin"]}), id="scopes as list"),
        pytest.param(by_hand({"alg": "none", "kid": KEY.kid}, GOOD), id="none"),
        pytest.param(by_hand({"alg": "nOnE", "typ": "JWT", "kid": KEY.kid}, GOOD), id="nOnE"),
        pytest.param(by_hand({"alg": "HS256", "kid": KEY.kid}, GOOD), id="no signature"),
        pytest.param(by_hand({"alg": "RS256", "kid": KEY.kid}, GOOD, forged().split(".")[2]), id="RS256"),
        pytest.param(by_hand({"kid": KEY.kid}, GOOD, forged().split(".")[2]), id="no algorithm"),
        pytest.param(forged(kid=""), id="empty kid, signed"),
        pytest.param(by_hand({"alg": "HS256", "kid": 7}, GOOD), id="kid as number"),
        pytest.param(by_hand({"alg": "HS256"}, GOOD, "AAAA"), id="no kid"),
        pytest.param(forged({"pad": "x" * 5_000}), id="too long"),
        *("", ".", "..", "a.b.c", "a.b", "[]", "\ud800", "é.é.é", " " + forged(), forged() + "x", forged() + "."),
    ],
)
def test_what_is_forged_is_not_read(token: str) -> None:
    with pytest.raises(TokenError, match="not made by this service"):
        read_token(token, KEY if kid_of(token) == KEY.kid else None, RULES, now=NOW)


def test_another_algorithm_is_refused_at_each_look() -> None:
    for token in (forged(alg="HS512"), forged(alg="HS384"), by_hand({"alg": "none", "kid": KEY.kid}, GOOD)):
        with pytest.raises(TokenError):
            kid_of(token)
        with pytest.raises(TokenError):
            read_token(token, KEY, RULES, now=NOW)


def test_the_forger_of_these_tests_would_have_got_in() -> None:
    assert read_token(forged(), KEY, RULES, now=NOW).name == "ann"


@pytest.mark.parametrize("claim", GOOD)
def test_no_claim_may_be_missing(claim: str) -> None:
    less = {name: value for name, value in GOOD.items() if name != claim}
    with pytest.raises(TokenError, match="not made by this service"):
        read_token(jwt.encode(less, KEY.secret, headers={"kid": KEY.kid}), KEY, RULES, now=NOW)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_no_letter_may_be_changed(part: int) -> None:
    parts = make_token(ANN, ("events",), KEY, RULES, now=NOW).split(".")
    for place in range(0, len(parts[part]) - 1, 7):  # the last letter of a part has bits that mean nothing
        changed = list(parts)
        letter = "A" if changed[part][place] != "A" else "B"
        changed[part] = changed[part][:place] + letter + changed[part][place + 1 :]
        with pytest.raises(TokenError):
            read_token(".".join(changed), KEY, RULES, now=NOW)


def test_a_key_opens_only_its_own_tokens() -> None:
    token = make_token(ANN, (), KEY, RULES, now=NOW)
    with pytest.raises(TokenError):
        read_token(token, new_key(NOW, used_from=NOW), RULES, now=NOW)
    with pytest.raises(TokenError):
        read_token(token, None, RULES, now=NOW)


def test_what_it_may_do_is_what_both_it_and_the_account_say() -> None:
    claims = Claims(name="ann", generation="g1", scopes=("events", "recommendations"), expires=1)
    assert verify_account(claims, ANN) == ("events",)
    assert verify_account(claims, replace(ANN, scopes=())) == ()


@pytest.mark.parametrize("account", [None, replace(ANN, disabled=True), replace(ANN, generation="g2")])
def test_a_token_ends_with_its_account_and_its_password(account: Account | None) -> None:
    claims = Claims(name="ann", generation="g1", scopes=("events",), expires=1)
    with pytest.raises(TokenError, match="does not hold any more"):
        verify_account(claims, account)
