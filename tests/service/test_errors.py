"""Every error of the library has a status, and every refusal is JSON with a reason and a remedy."""

from __future__ import annotations

import inspect

import pytest

from app.errors import STATUSES, status_of
from vitrina import errors


def library_errors() -> list[type[errors.VitrinaError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.VitrinaError) and kind.__module__ == errors.__name__
    ]


@pytest.mark.parametrize("kind", library_errors(), ids=lambda kind: kind.__name__)
def test_every_library_error_has_its_own_status(kind: type[errors.VitrinaError]) -> None:
    assert kind in STATUSES, f"add {kind.__name__} to the table in app/errors.py"


def test_table() -> None:
    assert status_of(errors.UnknownItemError("x")) == 404
    assert status_of(errors.RequestError("p", field="k", remedy="r")) == 422
    assert status_of(errors.NoChampionError("x")) == 503

    class Newer(errors.UnknownItemError):
        pass

    assert status_of(Newer("x")) == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/recommendations", 405),
        ("PUT", "/recommendations/", 405),
        ("POST", "/similar_items", 405),
        ("DELETE", "/", 405),
        ("POST", "/metrics", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/recommendations/1", 404),
    ],
)
def test_unknown_paths_and_methods(client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"reason", "remedy"}
    assert ("allow" in answer.headers) == (status == 405)


def test_without_a_champion(serve, tmp_path) -> None:
    with serve(tmp_path, champion=False) as running:
        for method, path in [
            ("POST", "/recommendations?user_id=1"),
            ("GET", "/similar_items?item_id=1"),
            ("GET", "/readyz"),
        ]:
            answer = running.client.request(method, path)
            assert answer.status_code == 503
            assert "vitrina train storefront" in answer.json()["error"]["remedy"]
        assert running.client.get("/").json() == {"status": "Alive"}
        assert running.client.get("/healthz").status_code == 200
        assert running.client.get("/models").json() == {"models": []}


def test_a_fault_shows_no_stack_trace(serve, tmp_path, monkeypatch) -> None:
    with serve(tmp_path) as running:
        state = running.app.state.service.of("storefront").served.state
        monkeypatch.setattr(type(state.recommender), "similar", lambda *_: 1 / 0)
        answer = running.client.get("/similar_items?item_id=104")
        assert answer.status_code == 500
        assert "Traceback" not in answer.text
        assert answer.json()["error"]["reason"] == "the service failed"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError, 500),
        (errors.VitrinaError, 500),
        (errors.StateError, 503),
        (errors.RegistryError, 503),
        (errors.StoreError, 503),
    ],
)
def test_no_answer_tells_a_setting_and_the_log_does(serve, tmp_path, monkeypatch, caplog, error, status: int) -> None:
    def fail(*_: object) -> None:
        raise error("VITRINA_STATE_URI: no address. Write postgresql+psycopg2://...")

    with serve(tmp_path) as running:
        state = running.app.state.service.of("storefront").served.state
        monkeypatch.setattr(type(state.recommender), "similar", fail)
        answer = running.client.get("/similar_items?item_id=104")
    assert answer.status_code == status
    assert "VITRINA" not in answer.text and "postgresql" not in answer.text
    assert set(answer.json()["error"]) == {"reason", "remedy"}
    assert any("VITRINA_STATE_URI" in str(getattr(one, "fields", "")) for one in caplog.records)


def test_a_caller_of_the_accounts_is_told_no_setting(serve, tmp_path) -> None:
    with serve(tmp_path, state_uri="foo://x", require_token="recommendations") as running:
        answers = [
            running.client.post("/token", data={"username": "ann", "password": "planted"}),
            running.client.get("/users/me", headers={"authorization": "Bearer x"}),
            running.client.post("/recommendations?user_id=1", headers={"x-api-key": f"vtr_0123456789ab_{'a' * 43}"}),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["reason"]) == (500, "the service failed")
        assert "VITRINA" not in answer.text and "foo" not in answer.text


def test_a_failing_ranker_is_no_error_for_the_caller(serve, tmp_path, monkeypatch) -> None:
    with serve(tmp_path) as running:
        state = running.app.state.service.of("storefront").served.state
        monkeypatch.setattr(type(state.recommender), "recommend", lambda *_, **__: 1 / 0)
        answer = running.client.post("/recommendations?user_id=2&k=3")
        assert (answer.status_code, answer.json()["source"], len(answer.json()["recs"])) == (200, "popular", 3)
        assert (
            'vitrina_fallbacks_total{reason="source_failed",scenario="storefront"} 1.0'
            in running.client.get("/metrics").text
        )
