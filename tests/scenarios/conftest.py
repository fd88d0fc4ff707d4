"""Runs of a scenario over a state folder of the test's own, and small logs to train on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_recipe import put_small_recipe

from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world
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
    return put_small_recipe


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


@pytest.fixture(scope="session")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Validated panels: "world" of 2,500 clients and nine months with all of its laws, "noise" without any, "short" of
    a few clients and three months."""
    spec = PanelSpec(customers=2_500, months=9, seed=1)
    root = tmp_path_factory.mktemp("panels")
    generate_panel(spec, root / "world")
    generate_panel(replace(spec, structure=0.0), root / "noise")
    generate_panel(replace(spec, customers=300, months=3), root / "short")
    return {name: root / name for name in ("world", "noise", "short")}


@pytest.fixture(scope="session")
def bank_at(run_at: Callable[..., Run], panels: Mapping[str, Path]) -> Callable[..., Run]:
    """A run over a home where a panel is validated already."""

    def build(home: Path, panel: str, **asked: Any) -> Run:
        run = replace(run_at(home, **asked), scenario="bank_products")
        run.objects.put_folder(run.key("validated"), panels[panel])
        return run

    return build
