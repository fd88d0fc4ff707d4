"""A small world with a known answer: a toy recommender that stores and loads like the real one, a registry in memory.

Items 0 .. 19 (ids 100 .. 119) are bought in pairs (0 with 1, 2 with 3, ...); popularity falls with the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.errors import RegistryError
from vitrina.events.ids import IdMap
from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.history import Histories, History
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.cart_calibration import SIZES, CartConfidence
from vitrina.ranking.cart_features import NOTHING_BOUGHT
from vitrina.ranking.propensity import FixedPropensity
from vitrina.recommend import companions_model
from vitrina.recommend.companions_model import CompanionsModel, Kind
from vitrina.recommend.companions_pass import NO_LINKS
from vitrina.recommend.propensity_model import packed
from vitrina.recommend.ranking_pass import joined
from vitrina.recommend.recommender import NOTHING, Catalogue, Ranked, Rules
from vitrina.registry.model_format import StoredModel, read_model, write_model
from vitrina.serving.copies import Copies
from vitrina.serving.lists import publish_lists, write_lists
from vitrina.serving.lists_follower import ListsFollower
from vitrina.serving.loading import RecommenderMaker
from vitrina.serving.served import Served
from vitrina.serving.state import LoadedModel, ServingState, items_fingerprint
from vitrina.serving.watcher import Watcher
from vitrina.storage.objects import FolderObjects, Objects
from vitrina.telemetry.metrics import ScenarioMetrics, ServiceMetrics

ITEMS = 20
AS_OF = 1_442_000_000_000
NOW = AS_OF + 3_600_000


@dataclass(frozen=True, kw_only=True)
class PairRecommender:
    """Scores an item by the most recent history item that it is paired with, then by popularity."""

    items: IdMap
    catalogue: Catalogue
    pairs: npt.NDArray[np.float32]  # (items, items)
    seen: list[tuple[History, int]] = field(default_factory=list)

    @classmethod
    def load(cls, stored: StoredModel) -> PairRecommender:
        catalogue = Catalogue(
            category=stored.arrays["category"],
            categories=np.array([1, 2, 3], np.int64),
            parent=np.array([-1, 0, -1], np.int32),
            available=stored.arrays["available"],
        )
        return cls(items=IdMap(np.array(stored.arrays["items"])), catalogue=catalogue, pairs=stored.arrays["pairs"])

    def recommend(
        self, history: History, *, k: int, rules: Rules, as_of: int, session: npt.NDArray[np.int32] = NOTHING
    ) -> Ranked:
        items, kinds, ts = joined(session, history.items, history.kinds, history.ts, as_of)
        history = History(items=items, kinds=kinds, ts=ts)
        self.seen.append((history, as_of))
        scores = np.linspace(0.5, 0.1, len(self.items), dtype=np.float32)
        for place, item in enumerate(history.items):
            scores = scores + self.pairs[item] / (1 + place)
        scores[rules.exclude] = -1
        if rules.allowed is not None:
            scores[~rules.allowed] = -1
        order = np.argsort(-scores, kind="stable")[:k].astype(np.int32)
        order = order[scores[order] >= 0]
        return Ranked(items=order, scores=scores[order].astype(np.float32), sources=np.zeros(len(order), np.uint8))

    def similar(self, item: int, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        order = np.argsort(-self.pairs[item], kind="stable")[:k].astype(np.int32)
        order = order[self.pairs[item][order] > 0]
        return order, self.pairs[item][order].astype(np.float32)


def write_toy(folder: Path, *, items: IdMap | None = None, user_kind: str = "int") -> Path:
    """A model folder; category 1 holds rows 0 .. 9, 2 (under 1) rows 10 .. 14, 3 the rest; odd rows are sold out."""
    ids = IdMap(np.arange(100, 100 + ITEMS)) if items is None else items
    pairs = np.zeros((len(ids), len(ids)), np.float32)
    for row in range(0, len(ids) - 1, 2):
        pairs[row, row + 1] = pairs[row + 1, row] = 2.0
    arrays = {
        "items": ids.ids,
        "pairs": pairs,
        "category": np.array([0] * 10 + [1] * 5 + [2] * 5, np.int32),
        "available": np.arange(len(ids)) % 2 == 0,
    }
    write_model(folder, arrays=arrays, files={}, meta={"as_of": AS_OF, "user_kind": user_kind})
    return folder


def load_toy(folder: Path) -> LoadedModel:
    stored = read_model(folder)
    recommender = PairRecommender.load(stored)
    return LoadedModel(recommender=recommender, as_of=stored.meta["as_of"], user_kind=stored.meta["user_kind"])


def write_toy_lists(
    objects: Objects,
    root: str,
    version: str,
    *,
    model_version: str = "1",
    items: IdMap | None = None,
    users: IdMap | None = None,
) -> Path:
    """User 1 has the list 119, 118, 117, 116, 115 and saw 104; user 2 saw 106 and has no list; 3 .. 40 are like 1."""
    ids = IdMap(np.arange(100, 100 + ITEMS)) if items is None else items
    people = IdMap(np.arange(1, 41)) if users is None else users
    list_row = np.full(len(people), 0, np.int32)
    list_row[1] = -1
    seen = np.full(len(people), 4, np.int32)
    seen[1] = 6
    histories = Histories(
        indptr=np.arange(len(people) + 1, dtype=np.int64),
        items=seen,
        kinds=np.zeros(len(people), np.int8),
        ts=np.full(len(people), AS_OF - 1000, np.int64),
    )
    with objects.writing(f"{root}/{version}") as folder:
        write_lists(
            folder,
            version=version,
            model_version=model_version,
            items_fingerprint=items_fingerprint(ids),
            as_of=AS_OF,
            users=people,
            list_row=list_row,
            list_items=np.array([[19, 18, 17, 16, 15, -1]], np.int32),
            list_scores=np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.0]], np.float32),
            histories=histories,
        )
    publish_lists(objects, root, version)
    return objects.local(f"{root}/{version}")


def write_bank(folder: Path, probability: float = 0.25, month: int = 2016 * 12 + 4) -> Path:
    """The folder of a model that foretells one probability for every product and says yes from a half on; its last
    month is May 2016."""
    n = len(PRODUCTS)
    made = packed(
        FixedPropensity(rates=np.full(n, probability)),
        kind="constant",
        encoding=ProfileEncoding(levels={}),
        thresholds=np.full(n, 0.5),
        as_of_month=month,
        marginals=PanelMarginals(profile={}, owned=(0.5,) * n),
    )
    write_model(folder, **made._asdict())
    return folder


CODES = tuple(f"8{row:04d}" for row in range(10))


def write_basket(
    folder: Path, most: float = 1.0, *, kind: Kind = "item_item", descriptions: bool = True, dated: bool = True
) -> Path:
    """The folder of a model of ten products (80000 ..), each even one taken with the next: of two in a cart 0.8 `most`
    take the other. Popular are all in their order, from 0.5 `most` down; customer 17850 took the last one in 0.9
    `most` of their baskets."""
    n = len(CODES)
    links = np.zeros((n, n), np.float32)
    for row in range(0, n, 2):
        links[row, row + 1] = links[row + 1, row] = 0.8
    line = CartConfidence(
        scores=np.tile([0.0, 1.0], (len(SIZES), 1)), shares=np.tile([0.0, most], (len(SIZES), 1)).astype(np.float64)
    )
    made = companions_model.packed(
        CompanionsModel(
            kind=kind,
            as_of=AS_OF if dated else 20,
            dated=dated,
            codes=CODES,
            descriptions=tuple(f"PRODUCT {code}" for code in CODES[: n if descriptions else 0]),
            popular=np.linspace(0.5, 0.05, n, dtype=np.float32),
            confidence=dict.fromkeys(companions_model.CURVES, line),
            links=NO_LINKS if kind == "popular" else NO_LINKS._replace(dense=links),
            customers=("17850",),
            bought=NOTHING_BOUGHT._replace(
                starts=np.array([0, 1, 1]), items=np.array([n - 1], np.int32), rates=np.array([0.9], np.float32)
            ),
        )
    )
    write_model(folder, **made._asdict())
    return folder


@dataclass(frozen=True)
class Published:
    version: str
    run_id: str


@dataclass
class MemoryRegistry:
    """A champion source whose content a test changes; `down` makes it unreachable."""

    folders: dict[str, Path] = field(default_factory=dict)
    at: str | None = None
    down: bool = False
    fetched: list[str] = field(default_factory=list)

    def champion(self) -> Published | None:
        if self.down:
            raise RegistryError("the registry does not answer. Start it")
        return None if self.at is None else Published(self.at, "run")

    def fetch(self, version: str, folder: Path) -> None:
        self.fetched.append(version)
        folder.mkdir(exist_ok=True)
        for path in self.folders[version].rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(self.folders[version])
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())

    def publish(self, version: str, folder: Path) -> None:
        self.folders[version] = folder
        self.at = version


def wired(registry: MemoryRegistry, **others: MemoryRegistry) -> dict[str, Any]:
    """Arguments of `create_app`: the toy world as the storefront, and where the champions of all come from."""
    from app.scenarios import served_scenarios, storefront

    return {"scenarios": (storefront(load_toy), *served_scenarios()[1:]), "sources": {"storefront": registry, **others}}


@dataclass
class Stage:
    """One worker's serving parts over a temporary folder."""

    root: Path
    registry: MemoryRegistry
    counted: ServiceMetrics
    served: Served[ServingState]
    objects: Objects
    load: Callable[[Path], LoadedModel] = load_toy

    def write_lists(self, version: str, **other: Any) -> Path:
        """Publishes toy lists and returns their folder in the store."""
        return write_toy_lists(self.objects, "lists", version, **other)

    def watcher(self, *, served: Served[ServingState] | None = None, every: float = 0.02) -> Watcher[ServingState]:
        kept = Copies(self.root / "serving", "lists")
        lists = ListsFollower(objects=self.objects, key="lists", copies=kept, metrics=self.metrics)
        return Watcher(
            scenario="shop",
            served=served or self.served,
            source=self.registry,
            maker=RecommenderMaker(lists=lists, metrics=self.metrics, load=self.load),
            copies=Copies(self.root / "serving"),
            metrics=self.metrics,
            clock=lambda: NOW,
            every=every,
        )

    def value(self, name: str, **labels: str) -> float:
        for more in ({"scenario": "shop"}, {}):
            found = self.counted.registry.get_sample_value(name, {**labels, **more})
            if found is not None:
                return found
        return 0.0

    @property
    def metrics(self) -> ScenarioMetrics:
        return self.counted.of("shop")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A registry with champion 1 and matching lists `a`."""
    registry = MemoryRegistry()
    registry.publish("1", write_toy(tmp_path / "made" / "1"))
    objects = FolderObjects(tmp_path / "objects")
    write_toy_lists(objects, "lists", "a")
    return Stage(root=tmp_path, registry=registry, counted=ServiceMetrics(), served=Served(), objects=objects)
