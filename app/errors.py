"""The only place that knows HTTP statuses: which library error becomes which one, and how an error looks in JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from vitrina import errors
from vitrina.errors import RequestError, VitrinaError
from vitrina.telemetry.metrics import ServiceMetrics

STATUSES: dict[type[VitrinaError], int] = {
    errors.VitrinaError: 500,
    errors.InputError: 422,
    errors.DataError: 422,
    errors.ConfigError: 500,
    errors.RequestError: 422,
    errors.UnknownItemError: 404,
    errors.AccountError: 422,
    errors.TokenError: 401,
    errors.NoChampionError: 503,
    errors.ModelFormatError: 503,
    errors.DamagedError: 503,
    errors.RegistryError: 503,
    errors.StateError: 503,
    errors.StoreError: 503,
}
TOLD = (errors.RequestError, errors.UnknownItemError, errors.AccountError, errors.TokenError, errors.NoChampionError)
"""What a caller may read. The text of any other names settings, addresses or folders, and is for the log alone."""
AWAY = "something that the service needs is away or cannot be used"
CAUSE = "The log of the service holds the cause under the X-Request-ID of this answer"
REMEDIES = {
    404: "See /docs for the routes",
    405: "See /docs for the methods of each route",
}


class Refused(Exception):  # noqa: N818  a state of the request, in the words of HTTP
    """A request that HTTP itself refuses (too large, not allowed); the library has no word for it."""

    def __init__(self, status: int, reason: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{reason}. {remedy}")
        self.status = status
        self.reason = reason
        self.remedy = remedy
        self.headers = headers


def too_large(limit: int) -> Refused:
    return Refused(413, f"the body is over {limit} bytes", "Send a shorter body", {"connection": "close"})


def status_of(error: VitrinaError) -> int:
    """Status of a library error: that of its class, else of the nearest base."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def error_body(reason: str, remedy: str, field: str | None = None) -> dict[str, Any]:
    fault = {"reason": reason, "remedy": remedy}
    return {"error": fault if field is None else {**fault, "field": field}}


def install(app: FastAPI, metrics: ServiceMetrics) -> None:
    """Makes every error that the app raises on purpose an answer in JSON, and counts it by kind. `fault` is for the
    others."""

    async def on_library_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, VitrinaError)
        metrics.error(type(error).__name__)
        request.scope["reason"] = str(error)
        if isinstance(error, RequestError):
            return _json(status_of(error), error_body(error.problem, error.remedy, error.field))
        if not isinstance(error, TOLD):
            return fault() if (status := status_of(error)) == 500 else _json(status, error_body(AWAY, CAUSE))
        reason, _dot, remedy = str(error).partition(". ")
        return _json(status_of(error), error_body(reason, remedy or CAUSE))

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        metrics.error(HTTPStatus(error.status).phrase)
        request.scope["reason"] = error.reason
        return _json(error.status, error_body(error.reason, error.remedy), error.headers)

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        metrics.error(HTTPStatus(error.status_code).phrase)
        remedy = REMEDIES.get(error.status_code, "See /docs")
        return _json(error.status_code, error_body(str(error.detail), remedy), error.headers)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        metrics.error("RequestError")
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        request.scope["reason"] = f"{field}: {first['msg']}"
        return _json(422, error_body(str(first["msg"]), "See /docs for this route", field))

    app.add_exception_handler(VitrinaError, on_library_error)
    app.add_exception_handler(Refused, on_refusal)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)


def fault() -> Response:
    """The answer when the app raised what nobody expected."""
    return _json(500, error_body("the service failed", f"{CAUSE}; report it"))


def _json(status: int, body: dict[str, Any], headers: Any = None) -> Response:
    return Response(orjson.dumps(body), status, headers=dict(headers or {}), media_type="application/json")
