"""POST /send_data: what goes with the products of a cart. Bare ASGI, as a handler would cost more than the answer."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send

from app.answering import answered, begun, send_json
from app.reading import MAX_ID_LENGTH, only_known, parsed, read_body
from app.service import Endpoint, Service, Serving
from vitrina.errors import RequestError
from vitrina.recommend.companions_limits import DEFAULT_N, MOST_N
from vitrina.serving.companions_state import Cart, CompanionsState, companions
from vitrina.telemetry.metrics import CompanionMetrics

MAX_PRODUCTS = 500
DECIMALS = 4
FIELDS = frozenset({"product_list", "n", "customer_id", "exclude"})
LARGEST = 2**63
EXAMPLE = 'Send for example {"product_list": ["85123A"], "n": 7}'

BasketServing = Serving[CompanionsState, CompanionMetrics]


class SendData:
    """Companions of the cart in the body."""

    def __init__(self, service: Service, serving: BasketServing) -> None:
        self._most_bytes = service.settings.max_body_bytes
        self._serving = serving
        self._metrics = serving.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, self._most_bytes)
        state = self._serving.state()
        cart = read_cart(body)
        since = begun(scope)
        found = companions(state, cart, self._metrics)
        answered(scope, "companions", since, self._serving, state.version, source=found.source, k=cart.n)
        confidence = [round(one, DECIMALS) for one in found.confidence]
        result: dict[str, Any] = {
            "recommendation": list(zip(found.codes, found.descriptions, confidence, strict=True)),
            "source": found.source,
            "because": found.because,
            "unknown_products": found.unknown,
            "model_version": state.version,
        }
        await send_json(send, {"result": result})


def endpoints(service: Service, serving: BasketServing) -> list[Endpoint]:
    """Of the basket."""
    return [Endpoint("POST", "/send_data", SendData(service, serving))]


def read_cart(body: bytes) -> Cart:
    """The cart of a request. `RequestError` names the field that is wrong."""
    if not body:
        raise RequestError("missing", field="body", remedy=EXAMPLE)
    content = parsed(body)
    if not isinstance(content, dict):
        raise RequestError("not a JSON object", field="body", remedy=EXAMPLE)
    only_known(content, FIELDS)
    if "product_list" not in content:
        raise RequestError("missing", field="product_list", remedy=EXAMPLE)
    return Cart(
        products=_codes(content["product_list"], "product_list"),
        n=_n(content.get("n")),
        customer=_customer(content.get("customer_id")),
        exclude=() if content.get("exclude") is None else _codes(content["exclude"], "exclude"),
    )


def _codes(value: Any, field: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RequestError("not a list of product codes", field=field, remedy='Send for example ["85123A", "22423"]')
    if len(value) > MAX_PRODUCTS:
        raise RequestError(f"over {MAX_PRODUCTS} products", field=field, remedy="Send the most recent ones")
    return tuple([_text(one, field, "Send codes as text") for one in value])


def _customer(value: Any) -> str | None:
    """Tills send an empty field when they do not know whose cart it is."""
    if value is None or value == "":
        return None
    return _text(value, "customer_id", 'Send the customer\'s number, for example "17850", or leave it out')


def _text(value: Any, field: str, remedy: str) -> str:
    """A code or a customer as invoices have them: text, or a whole number, which spreadsheets also write as 22423.0."""
    if type(value) is str:
        if 0 < len(value) <= MAX_ID_LENGTH:
            return value
    elif (type(value) is int or (type(value) is float and value.is_integer())) and abs(value) < LARGEST:
        return str(int(value))
    problem = f"holds what is neither text of 1 to {MAX_ID_LENGTH} characters nor a whole number of 63 bits"
    raise RequestError(problem, field=field, remedy=remedy)


def _n(value: Any) -> int:
    if value is None:
        return DEFAULT_N
    if type(value) is float and value.is_integer():
        value = int(value)  # as JSON has it, 7.0 is the integer 7
    if type(value) is int and 1 <= value <= MOST_N:
        return value
    raise RequestError(f"not an integer from 1 to {MOST_N}", field="n", remedy="Send for example 7")
