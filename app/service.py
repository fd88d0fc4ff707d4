"""What the routes share: settings, metrics, the clock, the ids of answers, and what is served of each scenario.

A `ServedScenario` is a row of the table in app/scenarios.py: all that the service knows of a scenario. A `Serving` is
what one app has of it.
"""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel
from starlette.types import ASGIApp

from app.documented_answers import Schema
from app.settings import Settings
from vitrina.accounts.scopes import RECOMMENDATIONS
from vitrina.errors import NoChampionError
from vitrina.serving.served import Served, ServedState
from vitrina.serving.watcher import Maker
from vitrina.telemetry.metrics import ModelMetrics, ServiceMetrics

State = TypeVar("State", bound=ServedState)
Metrics = TypeVar("Metrics", bound=ModelMetrics)


class AnswerIds:
    """Unique ids in the form of a UUID: 62 random bits of this process, then a count that starts at random.

    One random number per answer would cost more than the rest of the rendering.
    """

    def __init__(self) -> None:
        self._prefix = str(uuid.uuid4())[:24]
        self._count = itertools.count(secrets.randbits(47))

    def next(self) -> str:
        return f"{self._prefix}{next(self._count):012x}"


class Endpoint(NamedTuple):
    """A bare ASGI route; the same with a final slash is added to it."""

    method: str
    path: str
    answer: ASGIApp


class Text(NamedTuple):
    """The OpenAPI text of these routes, and the schemas that it refers to."""

    paths: Schema
    schemas: Schema


@dataclass(frozen=True, kw_only=True)
class ServedScenario(Generic[State, Metrics]):
    """What the service knows of a scenario. Callers need the scope `group` when the settings say so, or `always`."""

    name: str
    train: str
    model: Callable[[Settings], str]
    copies: str
    metrics: Callable[[ServiceMetrics], Metrics]
    maker: Callable[[Settings, Metrics], Maker[State]]
    endpoints: Callable[[Service, Serving[State, Metrics]], list[Endpoint]]
    text: Callable[[State | None], Text]
    info: Callable[[State], BaseModel]
    group: str = RECOMMENDATIONS
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class Serving(Generic[State, Metrics]):
    """What one app serves of a scenario, and counts."""

    scenario: ServedScenario[State, Metrics]
    metrics: Metrics
    served: Served[State] = field(default_factory=Served)

    def state(self) -> State:
        """The present state. `NoChampionError` before the first model."""
        state = self.served.state
        if state is None:
            raise no_champion(self.scenario)
        return state


@dataclass(frozen=True, kw_only=True)
class Service:
    """One per app. `clock` gives milliseconds since the epoch."""

    settings: Settings
    metrics: ServiceMetrics
    clock: Callable[[], int]
    servings: tuple[Serving[Any, Any], ...]
    answer_ids: AnswerIds = field(default_factory=AnswerIds)

    def of(self, scenario: str) -> Serving[Any, Any]:
        """What is served of a scenario, by its name."""
        return next(one for one in self.servings if one.scenario.name == scenario)

    def versions(self) -> dict[str, str]:
        """The served version of each scenario that has one."""
        states = {one.scenario.name: one.served.state for one in self.servings}
        return {scenario: state.version for scenario, state in states.items() if state is not None}

    def unconfirmed(self) -> list[str]:
        """Scenarios that are served as they were last on this host, until the first look at the registry is done."""
        return [one.scenario.name for one in self.servings if one.served.state is not None and not one.served.confirmed]


def no_champion(*scenarios: ServedScenario[Any, Any]) -> NoChampionError:
    """The error that names what has no model, and the commands that make one."""
    names = " or ".join(one.name for one in scenarios)
    commands = " or ".join(one.train for one in scenarios)
    return NoChampionError(f"no model of {names} is published. Make one: {commands}")
