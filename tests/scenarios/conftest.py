"""Runs of a scenario over a state folder of the test's own, and small logs to train on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitrina.events.synthetic import WorldSpec, generate_world
from vitrina.registry.file_registry import FileRegistry
from vitrina.scenarios import Run
from vitrina.storage.objects import FolderObjects


@pytest.fixture(scope="session")
def run_at() -> Callable[..., Run]:
    """A storefront run over plain files under `home`; what it notes is kept in `facts["notes"]`."""

    def build(home: Path, **asked: Any) -> Run:
        notes: list[str] = []
        return Run(
            scenario="storefront",
            objects=FolderObjects(home / "objects"),
            registry=FileRegistry(home / "registry"),
            now=1_450_000_000_000,
            memory="1GB",
            note=notes.append,
            facts={"notes": notes},
            **asked,
        )

    return build


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated shop of 8,000 events by 300 visitors over ten weeks, with properties and a category tree."""
    out = tmp_path_factory.mktemp("generated") / "world"
    generate_world(WorldSpec(events=8_000, users=300, items=250, days=70, seed=3), out)
    return out


@pytest.fixture(scope="session")
def small_recipe() -> Callable[[FolderObjects], None]:
    """Puts a recipe that trains quickly where the steps look for a tuned one."""
    from vitrina.candidates.als import ALS
    from vitrina.ranking.catboost_ranker import CatBoostRanker
    from vitrina.recommend.sources import Sources
    from vitrina.recommend.two_stage import TwoStage

    small = TwoStage(
        sources=Sources(als=ALS(factors=8, iterations=3)),
        ranker=CatBoostRanker(losses=("Logloss",), iterations=15, depth=3),
        groups=300,
    )

    def put(objects: FolderObjects) -> None:
        objects.put_bytes("storefront/recipe.json", json.dumps(small.as_json()).encode())

    return put


@pytest.fixture
def tiny_log(tmp_path: Path) -> Path:
    """50 lines with string ids and other column names: ten customers, five things, pairs that go together."""
    lines = ["ts,customer,type,sku"]
    for n in range(50):
        customer, day = n % 10, n // 10 * 3
        kind = ("look", "look", "basket", "look", "paid")[n // 10]
        lines.append(f"2024-03-{day + 1:02d}T10:{n:02d}:00,kunde-{customer},{kind},ware-{'äbcde'[(n + n // 10) % 5]}")
    path = tmp_path / "tiny.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def raw_sample(data_dir: Path, tmp_path: Path) -> Path:
    """RetailRocket's raw sample with the category tree that belongs to its ids."""
    folder = tmp_path / "raw"
    shutil.copytree(data_dir / "retailrocket-raw-sample", folder)
    shutil.copy(data_dir / "retailrocket" / "category_tree.csv", folder)
    return folder
