"""POST /recommendations and GET /similar_items: bare ASGI, as a handler would cost more than the answer."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send

from app.answering import answered, begun, send_json
from app.reading import query_fields, query_id, query_k, read_ask, read_body
from app.service import Endpoint, Service, Serving
from vitrina.errors import UnknownItemError
from vitrina.serving.answer import NOTHING, answer, similar
from vitrina.serving.state import Rows, ServingState
from vitrina.telemetry.metrics import ScenarioMetrics

ShopServing = Serving[ServingState, ScenarioMetrics]


class Recommendations:
    """Top k items for a user, optionally for a session, under rules."""

    def __init__(self, service: Service, serving: ShopServing) -> None:
        self._service = service
        self._serving = serving
        self._metrics = serving.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        body = await read_body(scope, receive, service.settings.max_body_bytes)
        state = self._serving.state()
        fields = query_fields(scope["query_string"])
        ask = read_ask(query_id(fields, "user_id", state.user_kind), query_k(fields), body, state.items.kind)
        since = begun(scope)
        found = answer(state, ask, now=service.clock(), metrics=self._metrics)
        answered(scope, "answer", since, self._serving, state.version, source=found.source, k=ask.k)
        content: dict[str, Any] = {
            "recs": _ids(state, found.items),
            "scores": found.scores,
            "source": found.source,
            "model_version": state.version,
            "recommendation_id": service.answer_ids.next(),
        }
        if state.lists is not None:
            content["lists_version"] = state.lists.version
        if found.ignored:
            content["ignored"] = found.ignored
        await send_json(send, content)


class SimilarItems:
    """Items like a given one."""

    def __init__(self, service: Service, serving: ShopServing) -> None:
        self._service = service
        self._serving = serving
        self._metrics = serving.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = self._serving.state()
        fields = query_fields(scope["query_string"])
        item, k = query_id(fields, "item_id", state.items.kind), query_k(fields)
        row = state.items.index_of(item)
        if row < 0:
            raise UnknownItemError("the served model's catalogue does not hold this item. Send an item id from its log")
        since = begun(scope)
        rows, scores, source = similar(state, row, k, now=self._service.clock(), metrics=self._metrics)
        answered(scope, "similar", since, self._serving, state.version, source=source, k=k)
        content = {"recs": _ids(state, rows), "scores": scores, "source": source, "model_version": state.version}
        await send_json(send, content)


def endpoints(service: Service, serving: ShopServing) -> list[Endpoint]:
    """Of the shop."""
    return [
        Endpoint("POST", "/recommendations", Recommendations(service, serving)),
        Endpoint("GET", "/similar_items", SimilarItems(service, serving)),
    ]


def _ids(state: ServingState, rows: Rows) -> Any:
    return state.items.ids[rows] if state.items.kind == "int" else state.items.ids_of(rows if len(rows) else NOTHING)
