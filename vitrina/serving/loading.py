"""From a model folder to what is served of it, with the lists beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vitrina.errors import ModelFormatError
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.serving.lists_follower import ListsFollower
from vitrina.serving.state import LoadedModel, ServingState, build_state
from vitrina.telemetry.metrics import ScenarioMetrics


def load_model(folder: Path) -> LoadedModel:
    """Reads and checks a model folder. `ModelFormatError` when it is damaged or of another schema."""
    stored = read_model(folder)
    recommender = Recommender.load(stored)
    user_kind = stored.meta.get("user_kind")
    if user_kind not in (None, "int", "str"):
        raise ModelFormatError(f"{folder}: user_kind {user_kind!r} in its meta. Use int or str")
    return LoadedModel(recommender=recommender, as_of=recommender.as_of, user_kind=user_kind)


class RecommenderMaker:
    """A `Maker` of recommenders with lists. `load` reads a model folder."""

    def __init__(self, *, lists: ListsFollower, metrics: ScenarioMetrics, load: Callable[[Path], LoadedModel]) -> None:
        self._lists = lists
        self._metrics = metrics
        self._load = load

    def make(self, folder: Path, *, version: str, copy: str, now: int, offline: bool) -> ServingState:
        """See `Maker`."""
        model = self._load(folder)
        items = model.recommender.items
        lists = self._lists.kept(version, items) if offline else self._lists.newest(version, items)
        return build_state(version=version, copy=copy, model=model, lists=lists, now=now)

    def follow(self, state: ServingState) -> ServingState:
        """The state with the newest lists that fit."""
        lists = self._lists.newest(state.version, state.items, present=state.lists)
        if lists is state.lists:
            return state
        self._metrics.swap("lists", "done")
        return replace(state, lists=lists)
