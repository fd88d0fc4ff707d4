"""The OpenAPI text of the basket's route."""

from __future__ import annotations

from app.basket import LARGEST, MAX_PRODUCTS
from app.documented_answers import Schema, responses, with_slashes
from app.reading import MAX_ID_LENGTH
from app.service import Text
from vitrina.recommend.companions_limits import DEFAULT_N, MOST_N
from vitrina.serving.companions_state import CompanionsState

_WHOLE: Schema = {"type": "integer", "minimum": 1 - LARGEST, "maximum": LARGEST - 1}
_CODE: Schema = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}, _WHOLE]}
_CODES: Schema = {"type": "array", "items": _CODE, "maxItems": MAX_PRODUCTS}


def text(_: CompanionsState | None) -> Text:
    """Of /send_data."""
    post = {
        "tags": ["basket"],
        "summary": "What goes with the products of a cart",
        "operationId": "send_data",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _request()}}},
        "responses": responses(_answer(), too_large=True),
    }
    return Text(with_slashes({"/send_data": {"post": post}}), {})


def _request() -> Schema:
    n = {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_N, "default": DEFAULT_N}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["product_list"],
        "properties": {
            "product_list": {**_CODES, "description": "StockCodes of the products in the cart."},
            "n": {**n, "description": "How many companions."},
            "customer_id": {
                "anyOf": [{"type": "string", "maxLength": MAX_ID_LENGTH}, _WHOLE, {"type": "null"}],
                "description": "Whose cart it is, by CustomerID: what they bought before counts, too. Empty: unknown.",
            },
            "exclude": {**_CODES, "type": ["array", "null"], "description": "StockCodes that must not come."},
        },
        "example": {"product_list": ["85123A", "22423"], "n": 7, "customer_id": "17850"},
    }


def _answer() -> Schema:
    code: Schema = {"type": "string"}
    companion = {
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}]},
        "minItems": 3,
        "maxItems": 3,
        "description": "StockCode, Description, and confidence: the share of such carts that held it, too.",
    }
    result = {
        "type": "object",
        "required": ["recommendation", "source", "because", "unknown_products", "model_version"],
        "properties": {
            "recommendation": {"type": "array", "items": companion, "maxItems": MOST_N, "description": "Best first."},
            "source": {
                "type": "string",
                "enum": ["cart", "history", "popular"],
                "description": "What the answer rests on; history and popular when no product of the cart is known.",
            },
            "because": {
                "type": "array",
                "items": {"type": ["string", "null"]},
                "maxItems": MOST_N,
                "description": "For each companion the product of the cart that speaks most for it.",
            },
            "unknown_products": {
                "type": "array",
                "items": code,
                "maxItems": MAX_PRODUCTS,
                "description": "Products of the cart that the model does not know.",
            },
            "model_version": {"type": "string", "description": "Version of the model that answered."},
        },
    }
    return {"type": "object", "required": ["result"], "properties": {"result": result}}
