"""Liveness, readiness, metrics, the served models and the light imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

HEAVY = ("mlflow", "implicit", "torch", "catboost", "pandas", "ibis", "duckdb", "sklearn", "matplotlib", "optuna")


def test_alive_and_ready(client) -> None:
    assert client.get("/").json() == {"status": "Alive"}
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "model_version": "1", "models": {"storefront": "1"}}
    assert "swagger" in client.get("/docs").text


def test_metrics_count_requests_sources_and_errors(serve, tmp_path) -> None:
    with serve(tmp_path) as running:
        for path in (
            "/recommendations?user_id=1",
            "/recommendations/?user_id=777",
            "/recommendations?user_id=x",
            "/nowhere",
        ):
            running.client.post(path)
        text = running.client.get("/metrics").text
        values = {
            (sample.name, *sorted(value for name, value in sample.labels.items() if name != "scenario")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("scenario", "storefront") == "storefront"
        }
    assert values["vitrina_http_requests_total", "/recommendations", "200"] == 2
    assert values["vitrina_http_requests_total", "/recommendations", "422"] == 1
    assert values["vitrina_http_requests_total", "404", "other"] == 1
    assert values["vitrina_http_request_duration_seconds_count", "/recommendations"] == 3
    assert values["vitrina_recommendations_total", "precomputed"] == 1
    assert values["vitrina_recommendations_total", "popular"] == 1
    assert values["vitrina_fallbacks_total", "unknown_user"] == 1
    assert values[("vitrina_cold_users_total",)] == 1
    assert values["vitrina_errors_total", "RequestError"] == 1
    assert values["vitrina_model_info", "1"] == 1


def test_models_tell_what_is_served(client) -> None:
    model = client.get("/models").json()["models"][0]
    assert (model["model_version"], model["items"], model["item_ids"]) == ("1", 20, "int")
    assert (model["lists"]["version"], model["lists"]["users"], model["lists"]["used"]) == ("a", 40, True)


@pytest.mark.parametrize(
    ("sent", "status"), [(None, 401), ("Bearer wrong", 401), ("Basic c2VjcmV0", 401), ("Bearer secret", 200)]
)
def test_admin_token(serve, tmp_path, sent: str | None, status: int) -> None:
    with serve(tmp_path, admin_token="secret") as running:
        headers = {} if sent is None else {"authorization": sent}
        answer = running.client.get("/models", headers=headers)
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) == (status == 401)


def test_the_service_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from app.following import champion_source\n"
        "from app.main import create_app\n"
        "from app.settings import Settings\n"
        "import app.server, vitrina.serving.loading, vitrina.serving.propensity_state\n"
        "create_app(Settings())\n"
        "champion_source(Settings(), 'any')\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
