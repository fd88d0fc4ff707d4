"""Writes an answer without a framework, as `app/reading.py` reads a request, and tells the request's span of it."""

from __future__ import annotations

from time import time_ns
from typing import Any

import orjson
from starlette.types import Scope, Send

from app.service import Serving
from app.traces import RequestSpan


async def send_json(send: Send, content: dict[str, Any]) -> None:
    """Answers 200; numpy arrays become JSON lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def begun(scope: Scope) -> int:
    """When the model begins to answer, for `answered` (`time_ns`); 0 where there is no span to tell."""
    return time_ns() if "span" in scope else 0


def answered(scope: Scope, what: str, since: int, serving: Serving[Any, Any], version: str, **facts: str | int) -> None:
    """Tells the span, if the request has one, which model answered since when, and these facts about the answer."""
    span: RequestSpan | None = scope.get("span")
    if span is not None:
        told = {"scenario": serving.scenario.name, "model_version": version, **facts}
        span.answered(what, since, {f"vitrina.{name}": value for name, value in told.items()})
