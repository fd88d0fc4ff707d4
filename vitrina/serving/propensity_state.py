"""What a worker serves of a scenario that foretells what a client takes: a propensity model, and nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitrina.errors import ModelFormatError
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.recommend.propensity_model import PropensityModel
from vitrina.registry.model_format import read_model

_EPOCH = 1970 * 12


@dataclass(frozen=True, kw_only=True, eq=False)
class PropensityState:
    """One model version; `copy` names its folder. `as_of` and `loaded_at` in milliseconds since the epoch."""

    version: str
    copy: str
    model: PropensityModel
    as_of: int
    loaded_at: int

    def __str__(self) -> str:
        return f"model {self.version}"

    @property
    def times(self) -> dict[str, int]:
        """See `ServedState`."""
        return {"as_of": self.as_of}


class PropensityMaker:
    """A `Maker` of propensity models, which has nothing to follow beside them."""

    def make(self, folder: Path, *, version: str, copy: str, now: int, offline: bool) -> PropensityState:
        """See `Maker`. `ModelFormatError` when it is damaged, of another schema, or foretells no probabilities."""
        model = PropensityModel.load(read_model(folder))
        _warm_up(model, folder)
        as_of = month_end(model.as_of_month)
        return PropensityState(version=version, copy=copy, model=model, as_of=as_of, loaded_at=now)

    def follow(self, state: PropensityState) -> PropensityState:
        """The same state."""
        return state


def month_end(month: int) -> int:
    """The first millisecond after a month, since the epoch."""
    return int(np.datetime64(month + 1 - _EPOCH, "M").astype("datetime64[ms]").astype(np.int64))


def _warm_up(model: PropensityModel, folder: Path) -> None:
    """Answers for a made-up client the way a request goes, which compiles what a request needs."""
    document = model.marginals.draw_with_past(np.random.default_rng(0))
    inputs = client_inputs(read_client(document, default_month=model.as_of_month), model.encoding)
    probabilities = model.probabilities(inputs)
    model.decide(probabilities, inputs)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ModelFormatError(f"{folder}: foretells what is no probability. Train again")
