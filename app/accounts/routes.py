"""POST /token and GET /users/me."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from app.accounts.desk import SignInDesk
from app.accounts.forms import DOCUMENTED, read_form
from app.accounts.guard import Caller
from app.errors import Refused
from app.schemas import ErrorAnswer

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}  # RFC 6749, section 5.1


class Token(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  the kind of a token, no token


class Me(BaseModel):
    username: str
    email: str
    full_name: str


def routes(desk: SignInDesk) -> APIRouter:
    """The routes over one desk."""
    router = APIRouter(tags=["accounts"])
    signed_in = Depends(desk.guard.requires())

    @router.post(
        "/token", summary="Sign in", openapi_extra=DOCUMENTED, responses=refusals(401, 403, 413, 422, 429, 503)
    )
    async def token(request: Request, response: Response) -> Token:
        form = await read_form(request)
        response.headers.update(NO_STORE)
        return Token(access_token=await desk.sign_in(form, request.client.host if request.client else ""))

    async def me(response: Response, caller: Caller = signed_in) -> Me:
        if caller.account is None:
            raise Refused(403, "the administrator's token has no account", "Sign in with a name: POST /token")
        response.headers.update(NO_STORE)
        account = caller.account
        return Me(username=account.name, email=account.email, full_name=account.full_name)

    for path, name in (("/users/me", "me"), ("/users/me/", "me_slash")):
        router.add_api_route(
            path, me, methods=["GET"], operation_id=name, summary="Who I am", responses=refusals(401, 403, 429, 503)
        )
    return router


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of refused requests."""
    return {status: {"model": ErrorAnswer} for status in statuses}
