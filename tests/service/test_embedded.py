"""The app as `vitrina serve` makes it: the real registry reader, the real loader, no injected part."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import anyio
import httpx
import pytest
from loaded import module_at

from app.main import create_app
from app.settings import Settings
from app.warm import tiny_propensities
from vitrina.events.panels.columns import PRODUCTS
from vitrina.recommend.model_folder import describe, pack
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord


@pytest.fixture(scope="module")
def real() -> ModuleType:
    """`small_model` of tests/serving/test_real_recommender.py."""
    return module_at("real_world", Path(__file__).parents[1] / "serving" / "test_real_recommender.py")


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


@pytest.mark.parametrize("place", [0, 1])
def test_registered_bank_model_is_served(tmp_path: Path, place: int) -> None:
    made = list(tiny_propensities())[place]
    write_model(tmp_path / "model", **made._asdict())
    registry = FileRegistry(tmp_path / "registry", name="other_bank")
    version = registry.register(tmp_path / "model", RunRecord(fingerprint="f"))
    registry.promote(version.version)
    uri = f"file://{tmp_path / 'registry'}"
    settings = Settings(home=tmp_path / "home", registry_uri=uri, bank_registered_model="other_bank")
    random, models = ask(settings, "GET /random?lang=en", "GET /models")
    assert random.status_code == 200
    assert list(random.json()) == [product.english for product in PRODUCTS]
    assert [model["kind"] for model in models.json()["models"]] == [made.meta["kind"]]


def test_nothing_published_yet(tmp_path: Path) -> None:
    alive, shop, bank = ask(
        Settings(home=tmp_path), "GET /", "POST /recommendations?user_id=1&k=5", "GET /random?lang=en"
    )
    assert alive.status_code == 200
    for answer, scenario in ((shop, "storefront"), (bank, "bank_products")):
        assert answer.status_code == 503
        assert f"vitrina train {scenario} --data" in answer.json()["error"]["remedy"]
