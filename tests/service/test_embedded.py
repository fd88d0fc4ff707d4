"""The app as `vitrina serve` makes it: the real registry reader, the real loader, no injected part."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import anyio
import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from vitrina.recommend.model_folder import describe, pack
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord


@pytest.fixture(scope="module")
def real() -> ModuleType:
    """`small_model` of tests/serving/test_real_recommender.py."""
    path = Path(__file__).parents[1] / "serving" / "test_real_recommender.py"
    spec = importlib.util.spec_from_file_location("real_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ask(settings: Settings, *calls: str) -> list[httpx.Response]:
    app = create_app(settings)

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
        ):
            return [await client.request(*call.split()) for call in calls]

    return anyio.run(run)


def test_registered_model_is_served(real: ModuleType, tmp_path: Path) -> None:
    model = real.small_model()
    write_model(tmp_path / "model", arrays=pack(model), files={}, meta=describe(model, "catboost"))
    registry = FileRegistry(tmp_path / "registry", name="ranking_model")
    version = registry.register(tmp_path / "model", RunRecord(fingerprint="f"))
    registry.promote(version.version)
    settings = Settings(home=tmp_path / "home", registry_uri=f"file://{tmp_path / 'registry'}")
    found, similar = ask(settings, "POST /recommendations?user_id=1&k=5", "GET /similar_items?item_id=103&k=4")
    assert found.status_code == 200
    assert (found.json()["source"], found.json()["model_version"]) == ("popular", version.version)
    assert len(set(found.json()["recs"])) == 5
    rows, _ = model.similar(3, 4)
    assert similar.json()["recs"] == [100 + int(row) for row in rows]


def test_nothing_published_yet(tmp_path: Path) -> None:
    alive, answer = ask(Settings(home=tmp_path), "GET /", "POST /recommendations?user_id=1&k=5")
    assert alive.status_code == 200
    assert answer.status_code == 503
    assert "vitrina train storefront --data" in answer.json()["error"]["remedy"]
