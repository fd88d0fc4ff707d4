"""POST /predict, POST /predict_proba and GET /random: what a bank's client takes next month. Bare ASGI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from starlette.types import Receive, Scope, Send

from app.answering import answered, begun, send_json
from app.reading import parsed, query_fields, read_body
from app.service import Endpoint, Service, Serving
from vitrina.errors import RequestError
from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.serving.propensity_state import PropensityState
from vitrina.telemetry.metrics import ProductMetrics

LANGUAGES = {
    "ru": tuple(product.russian for product in PRODUCTS),
    "en": tuple(product.english for product in PRODUCTS),
}
DEFAULT_LANGUAGE = "ru"
LEAST_SHOWN = 0.01
DECIMALS = 4

Names = tuple[str, ...]
BankServing = Serving[PropensityState, ProductMetrics]


class Prediction(NamedTuple):
    """Of one client: probabilities float64 (24,), and whether each product is taken, bool (24,)."""

    probabilities: npt.NDArray[np.float64]
    taken: npt.NDArray[np.bool_]


def yes_or_no(found: Prediction, names: Names) -> dict[str, float]:
    """1 for each product that is taken, 0 for each other, in the order of the catalogue."""
    return dict(zip(names, found.taken.astype(np.int8).tolist(), strict=True))


def likely(found: Prediction, names: Names) -> dict[str, float]:
    """Probabilities from `LEAST_SHOWN` on, the highest first; equal ones in the order of the catalogue."""
    shown = np.flatnonzero(found.probabilities >= LEAST_SHOWN).tolist()
    rounded = [(names[place], round(float(found.probabilities[place]), DECIMALS)) for place in shown]
    return dict(sorted(rounded, key=lambda one: -one[1]))


class Predictions:
    """Answers for the client in the body, or, when `made_up`, for one that the model's marginals make up. `counted`:
    the products that are taken go into the metrics."""

    def __init__(
        self,
        service: Service,
        serving: BankServing,
        render: Callable[[Prediction, Names], dict[str, float]],
        *,
        counted: bool,
        made_up: bool = False,
    ) -> None:
        self._most_bytes = service.settings.max_body_bytes
        self._serving = serving
        self._render = render
        self._metrics = serving.metrics if counted else None
        self._random = np.random.default_rng() if made_up else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, self._most_bytes)
        state = self._serving.state()
        model = state.model
        names = _names(scope["query_string"])
        document = _document(body) if self._random is None else model.marginals.draw_with_past(self._random)
        since = begun(scope)
        inputs = client_inputs(read_client(document, default_month=model.as_of_month), model.encoding)
        probabilities = model.probabilities(inputs)
        found = Prediction(probabilities[0], model.decide(probabilities, inputs)[0])
        answered(scope, "foretell", since, self._serving, state.version)
        if self._metrics is not None:
            self._metrics.predicted(np.flatnonzero(found.taken).tolist())
        await send_json(send, self._render(found, names))


def endpoints(service: Service, serving: BankServing) -> list[Endpoint]:
    """Of the bank."""
    return [
        Endpoint("POST", "/predict", Predictions(service, serving, yes_or_no, counted=True)),
        Endpoint("POST", "/predict_proba", Predictions(service, serving, likely, counted=False)),
        Endpoint("GET", "/random", Predictions(service, serving, yes_or_no, counted=True, made_up=True)),
    ]


def _names(query: bytes) -> Names:
    language = query_fields(query).get("lang", DEFAULT_LANGUAGE) if query else DEFAULT_LANGUAGE
    names = LANGUAGES.get(language)
    if names is None:
        known = " or ".join(LANGUAGES)
        raise RequestError(f"not {known}", field="lang", remedy=f"Send lang={known}, or leave it out")
    return names


def _document(body: bytes) -> Any:
    if not body:
        raise RequestError("missing", field="body", remedy='Send a client as a JSON object, for example {"age": 35}')
    return parsed(body)
