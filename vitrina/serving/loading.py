"""From a model folder to what serving needs of it."""

from __future__ import annotations

from pathlib import Path

from vitrina.errors import ModelFormatError
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.serving.state import LoadedModel


def load_model(folder: Path) -> LoadedModel:
    """Reads and checks a model folder. `ModelFormatError` when it is damaged, of another schema or without its `as_of`."""
    stored = read_model(folder)
    as_of, user_kind = stored.meta.get("as_of"), stored.meta.get("user_kind")
    if not isinstance(as_of, int):
        raise ModelFormatError(f"{folder}: its meta has no as_of. Train again: vitrina train storefront --data FOLDER")
    if user_kind not in (None, "int", "str"):
        raise ModelFormatError(f"{folder}: user_kind {user_kind!r} in its meta. Use int or str")
    return LoadedModel(recommender=Recommender.load(stored), as_of=as_of, user_kind=user_kind)
