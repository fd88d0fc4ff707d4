"""Answers of the routes, as the documentation shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    status: Literal["Alive"] = "Alive"


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    model_version: str


class ListsInfo(BaseModel):
    version: str
    model_version: str
    as_of: int
    users: int
    used: bool


class ModelInfo(BaseModel):
    """What this worker serves; times in milliseconds since the epoch."""

    scenario: str
    model_version: str
    as_of: int
    loaded_at: int
    items: int
    item_ids: Literal["int", "str"]
    user_ids: Literal["int", "str"]
    lists: ListsInfo | None


class Models(BaseModel):
    models: list[ModelInfo]


class Fault(BaseModel):
    reason: str
    remedy: str
    field: str | None = None


class ErrorAnswer(BaseModel):
    error: Fault
