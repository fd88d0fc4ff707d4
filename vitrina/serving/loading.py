"""From a model folder to what serving needs of it."""

from __future__ import annotations

from pathlib import Path

from vitrina.errors import ModelFormatError
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.serving.state import LoadedModel


def load_model(folder: Path) -> LoadedModel:
    """Reads and checks a model folder. `ModelFormatError` when it is damaged or of another schema."""
    stored = read_model(folder)
    recommender = Recommender.load(stored)
    user_kind = stored.meta.get("user_kind")
    if user_kind not in (None, "int", "str"):
        raise ModelFormatError(f"{folder}: user_kind {user_kind!r} in its meta. Use int or str")
    return LoadedModel(recommender=recommender, as_of=recommender.as_of, user_kind=user_kind)
