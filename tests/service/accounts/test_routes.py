"""Signing in and asking who one is, as people call them."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest

PASSWORD = "planted-password"


def fault(answer: httpx.Response, status: int) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert {"reason", "remedy"} <= error.keys() <= {"reason", "remedy", "field"}
    return error


def test_a_session(shop) -> None:
    answer = shop.sign_in()
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type"}
    assert answer.json()["token_type"] == "bearer"
    assert answer.headers["cache-control"] == "no-store"
    me = {"username": "ann", "email": "ann@shop", "full_name": "Анна Ж."}
    for path in ("/users/me", "/users/me/"):
        who = shop.get(path, answer.json()["access_token"])
        assert (who.status_code, who.json()) == (200, me)


@pytest.mark.parametrize("step", [1, -1])
def test_a_clock_that_goes_on_or_is_set_back(serve, step: int) -> None:
    shop = serve(step=step)
    shop.desk.accounts()
    shop.register("ann")
    for _ in range(3):
        assert shop.get("/users/me", shop.token()).status_code == 200


def test_the_form_may_come_in_parts(standing) -> None:
    parts = {"username": (None, "ann"), "password": (None, PASSWORD), "grant_type": (None, "password")}
    assert standing.client.post("/token", files=parts).status_code == 200


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(shop) -> None:
    answers = [shop.sign_in("ann", "wrong"), shop.sign_in("eve", "wrong"), shop.sign_in("eve", PASSWORD)]
    shop.accounts.change_account("ann", disabled=True)
    answers.append(shop.sign_in())
    for answer in answers:
        assert fault(answer, 401)["reason"] == "the name or the password is wrong"
        assert answer.headers["www-authenticate"] == "Bearer"
    told = [{name: one for name, one in a.headers.items() if name not in ("date", "x-request-id")} for a in answers]
    assert all(one == told[0] for one in told)
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "username"),
        ({"username": "ann"}, "password"),
        ({"username": "ann", "password": ""}, "password"),
        ({"username": "ann", "password": PASSWORD, "grant_type": "client_credentials"}, "grant_type"),
        ({"username": ["ann", "root"], "password": PASSWORD}, "body"),
        ({"username": "ann", "password": PASSWORD, "scope": "root"}, "scope"),
        ({"username": "ann", "password": PASSWORD, "scope": 'a"\r\nX-Planted: 1'}, "scope"),
        ({f"f{number}": "x" for number in range(20)}, "body"),
    ],
)
def test_a_wrong_form_is_told_by_its_field(standing, fields: dict[str, Any], field: str) -> None:
    answer = standing.client.post("/token", data=fields)
    assert fault(answer, 422)["field"] == field
    assert PASSWORD not in answer.text and "x-planted" not in answer.headers


def test_what_is_no_form(standing) -> None:
    fault(standing.client.post("/token", json={"username": "ann", "password": PASSWORD}), 422)
    fault(standing.client.post("/token"), 422)
    broken = {"content-type": "multipart/form-data; boundary=x"}
    fault(standing.client.post("/token", content=b"--y\r\nnonsense", headers=broken), 422)
    fault(standing.client.post("/token", data={"username": "ann", "password": "x" * 20_000}), 413)
    fault(standing.client.get("/token"), 405)


@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "utf-16", "hex", "none-such"])
def test_no_charset_that_a_caller_names_is_a_fault_of_the_service(standing, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="ann!"\r\n\r\nann\r\n--x--\r\n'
    form = {"content-type": f"multipart/form-data; charset={charset}; boundary=x"}
    fault(standing.client.post("/token", content=body, headers=form), 422)


def test_a_file_is_no_field(standing) -> None:
    parts = {"username": ("a.txt", b"ann"), "password": (None, PASSWORD)}
    fault(standing.client.post("/token", files=parts), 422)


def test_a_token_may_be_asked_for_less(standing) -> None:
    root = standing.token("root")
    assert standing.get("/admin-only", root).status_code == 200
    less = standing.token("root", scope="events recommendations")
    assert fault(standing.get("/admin-only", less), 403)["reason"].startswith("the account has no scope 'admin'")
    assert standing.get("/bare", less).status_code == 200
    counted = standing.app.state.service.metrics.registry.get_sample_value
    before = counted("vitrina_sign_ins_total", {"outcome": "refused"})
    assert standing.sign_in(scope="root").status_code == 422
    answer = standing.sign_in(scope="admin")
    assert counted("vitrina_sign_ins_total", {"outcome": "refused"}) == before + 2
    fault(answer, 403)
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'


def test_a_token_names_its_key_and_holds_for_the_set_time(serve, tmp_path) -> None:
    shop = serve(token_minutes=5)
    shop.desk.accounts()
    shop.register("ann")
    token = shop.token()
    claims = jwt.decode(token, options={"verify_signature": False})
    (key,) = shop.accounts.signing_keys()
    assert jwt.get_unverified_header(token)["kid"] == key.kid
    assert claims["exp"] - claims["iat"] == 300
    assert shop.get("/users/me", token).status_code == 200
    shop.clock.now += 300_000
    assert fault(shop.get("/users/me", token), 401)["reason"] == "the token has expired"


def test_the_documentation_tells_of_the_form_and_of_who_is_let_in(standing) -> None:
    text = standing.client.get("/openapi.json").json()
    form = text["paths"]["/token"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["username", "password"]
    for path in ("/users/me", "/users/me/", "/admin-only"):
        schemes = {name for one in text["paths"][path]["get"]["security"] for name in one}
        assert schemes == {"OAuth2PasswordBearer", "APIKeyHeader"}
    assert text["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]["tokenUrl"] == "token"
