"""What the routes share: settings, the served state, metrics, the clock and the ids of answers."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from app.settings import Settings
from vitrina.errors import NoChampionError
from vitrina.serving.state import Served, ServingState
from vitrina.telemetry.metrics import ServiceMetrics

SCENARIO = "storefront"
TRAIN = "vitrina train storefront --data FOLDER"


class AnswerIds:
    """Unique ids in the form of a UUID: 62 random bits of this process, then a count that starts at random.

    One random number per answer would cost more than the rest of the rendering.
    """

    def __init__(self) -> None:
        self._prefix = str(uuid.uuid4())[:24]
        self._count = itertools.count(secrets.randbits(47))

    def next(self) -> str:
        return f"{self._prefix}{next(self._count):012x}"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One per app. `clock` gives milliseconds since the epoch."""

    settings: Settings
    metrics: ServiceMetrics
    clock: Callable[[], int]
    served: Served = field(default_factory=Served)
    answer_ids: AnswerIds = field(default_factory=AnswerIds)

    def state(self) -> ServingState:
        """The present state. `NoChampionError` before the first model."""
        state = self.served.state
        if state is None:
            raise NoChampionError(f"no model of the storefront is published. Make one: {TRAIN}")
        return state
