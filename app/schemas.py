"""Answers of the routes, as the documentation shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    status: Literal["Alive"] = "Alive"


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`models`: the served version of each scenario that has one; `model_version`: the first of them; `unconfirmed`:
    scenarios served as they were last on this host, until the first look at the registry since the start is done."""

    status: Literal["ready"] = "ready"
    model_version: str
    models: dict[str, str]
    unconfirmed: list[str] | None = None


class ListsInfo(BaseModel):
    version: str
    model_version: str
    as_of: int
    users: int
    used: bool


class ModelInfo(BaseModel):
    """A model that this worker serves; times in milliseconds since the epoch, `as_of` null of a log without dates."""

    scenario: str
    model_version: str
    as_of: int | None
    loaded_at: int


class RecommenderInfo(ModelInfo):
    items: int
    item_ids: Literal["int", "str"]
    user_ids: Literal["int", "str"]
    lists: ListsInfo | None


class PropensityInfo(ModelInfo):
    """`month` is the last one that the model knows; it foretells the next."""

    kind: str
    month: str


class CompanionsInfo(ModelInfo):
    """`products` and `customers` are those that the model knows."""

    kind: str
    products: int
    customers: int


class Models(BaseModel):
    models: list[RecommenderInfo | CompanionsInfo | PropensityInfo]


class Fault(BaseModel):
    reason: str
    remedy: str
    field: str | None = None


class ErrorAnswer(BaseModel):
    error: Fault
