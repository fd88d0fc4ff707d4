"""The OpenAPI text of the bank's routes."""

from __future__ import annotations

from app.bank_products import DEFAULT_LANGUAGE, LANGUAGES, LEAST_SHOWN
from app.documented_answers import Schema, responses, with_slashes
from app.service import Text
from vitrina.events.panels.columns import CUSTOMER_COLUMN, MONTH_COLUMN, PRODUCTS, PROFILE, RAW_OF
from vitrina.features.panel_client import DATE, HISTORY, LARGEST, MOST_HISTORY, NUMBER
from vitrina.serving.propensity_state import PropensityState

CLIENT: Schema = {"$ref": "#/components/schemas/BankClient"}
_PAD = r"[ \t\r\n]*"
_MONTH = MONTH_COLUMN[1]


def text(_: PropensityState | None) -> Text:
    """Of /predict, /predict_proba and /random."""
    return Text(_paths(), _schemas())


def _schemas() -> Schema:
    columns = _columns()
    row = {
        "type": "object",
        "additionalProperties": False,
        "required": [_MONTH],
        "properties": {**columns, _MONTH: _text(DATE, nothing=False)},
    }
    history = {
        "type": ["array", "null"],
        "maxItems": MOST_HISTORY,
        "items": row,
        "description": "Earlier months, each once. Without them what was owned before is not known, which is not the "
        "same as not owned.",
    }
    client = {
        "type": "object",
        "additionalProperties": False,
        "description": "Any column may be absent or null: it is not known then. The columns may also have their names "
        "in train_ver2.csv. A category may be new to the model.",
        "properties": {**columns, HISTORY: history},
        "example": {
            _MONTH: "28-05-2016",
            "age": 35,
            "gender": "V",
            "client_segment": "02 - PARTICULARES",
            "ind_1m_checking_acc": 1,
            "ind_1m_payroll_acc": 0,
            HISTORY: [{_MONTH: "28-04-2016", "ind_1m_checking_acc": 1, "ind_1m_payroll_acc": 1}],
        },
    }
    return {"BankClient": client}


def _paths() -> Schema:
    decisions = {
        "type": "object",
        "minProperties": len(PRODUCTS),
        "maxProperties": len(PRODUCTS),
        "additionalProperties": {"enum": [0, 1]},
        "description": "1 for each product that the client will take next month.",
        "example": {product.russian: int(product.column == "ind_1m_credit_card") for product in PRODUCTS},
    }
    chances = {
        "type": "object",
        "maxProperties": len(PRODUCTS),
        "additionalProperties": {"type": "number", "minimum": LEAST_SHOWN, "maximum": 1},
        "description": f"Chances that the client takes a product next month, from {LEAST_SHOWN} on, best first.",
        "example": {PRODUCTS[0].russian: 0.0731, PRODUCTS[1].russian: 0.0542},
    }
    foretells = {"tags": ["bank products"], "parameters": [_language()]}
    asked = {**foretells, "requestBody": {"required": True, "content": {"application/json": {"schema": CLIENT}}}}
    found: Schema = {
        "/predict": {
            "post": {
                **asked,
                "summary": "Which products a client takes next month",
                "operationId": "predict",
                "responses": responses(decisions, too_large=True),
            }
        },
        "/predict_proba": {
            "post": {
                **asked,
                "summary": "How likely a client takes each product next month",
                "operationId": "predict_proba",
                "responses": responses(chances, too_large=True),
            }
        },
        "/random": {
            "get": {
                **foretells,
                "summary": "Which products a made-up client takes next month",
                "operationId": "predict_random",
                "responses": responses(decisions),
            }
        },
    }
    return with_slashes(found)


def _columns() -> Schema:
    """Of a client at one month, by request name."""
    code: Schema = {"type": ["string", "number", "null"]}
    number: Schema = {"anyOf": [{"type": "number", "minimum": -LARGEST, "maximum": LARGEST}, _text(NUMBER)]}
    kinds: dict[str, Schema] = {"category": code, "flag": code, "number": number, "date": _text(DATE)}
    product: Schema = {"anyOf": [{"enum": [0, 1]}, _text(r"[01](\.0)?")]}
    columns = {
        _MONTH: _text(DATE),
        CUSTOMER_COLUMN[1]: code,
        **{column.name: kinds[column.kind] for column in PROFILE},
        **{one.column: {**product, "title": one.english} for one in PRODUCTS},
    }
    return {name: {**schema, "description": f"{RAW_OF[name]} in train_ver2.csv."} for name, schema in columns.items()}


def _text(pattern: str, *, nothing: bool = True) -> Schema:
    """Padded text; `nothing`: also null, NA or empty."""
    within = f"(NA|{pattern})?" if nothing else f"({pattern})"
    return {"type": ["string", "null"] if nothing else "string", "pattern": f"^{_PAD}{within}{_PAD}$"}


def _language() -> Schema:
    return {
        "name": "lang",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": list(LANGUAGES), "default": DEFAULT_LANGUAGE},
        "description": "The language of the products' names.",
    }
