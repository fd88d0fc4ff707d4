"""Carts that the servers are asked about, drawn from the shop's own baskets; what has to be answered."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.asking import Ask, post
from benchmarks.servers import Server
from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.recommend.companions_model import CompanionsModel

POOL: Final = 5_000
CART: Final = 10
N: Final = 10
ROUNDED: Final = 1e-4
Document = dict[str, Any]


def carts(baskets: Baskets, rng: np.random.Generator, *, customers: bool = False) -> list[Document]:
    """Carts of 10 distinct products: those of a random basket, filled up from other ones; `customers`: of the known
    customers' baskets alone, and with who they are. For 10 companions each."""
    rows = np.flatnonzero(baskets.customer != NOBODY) if customers else np.arange(len(baskets))
    found = []
    for row in rng.choice(rows, POOL).tolist():
        cart: Document = {"product_list": [baskets.codes[item] for item in _cart(baskets, row, rng)], "n": N}
        if customers:
            cart["customer_id"] = baskets.customers[baskets.customer[row]]
        found.append(cart)
    return found


def send_data(documents: Sequence[Document], authorization: str = "") -> list[Ask]:
    """As the service is asked."""
    return [Ask(path="/send_data", body=_json(one), authorization=authorization) for one in documents]


def invocations(documents: Sequence[Document]) -> list[Ask]:
    """As `mlflow models serve` is asked."""
    return [Ask(path="/invocations", body=_json({"dataframe_records": [one]})) for one in documents]


def said(model: CompanionsModel, document: Document) -> list[tuple[str, float]]:
    """The model's companions of one cart: code and confidence, the best first."""
    found = model.companions(document["product_list"], document["n"], customer=document.get("customer_id"))
    return list(zip(found.codes, found.confidence, strict=True))


def check(server: Server, asks: Sequence[Ask], expected: Sequence[list[tuple[str, float]]]) -> None:
    """Asks the first of the requests. `RuntimeError` when an answer is another than `expected`, or is not made of the
    cart: then the subjects do not do the work that is to be measured.
    """
    for ask, wanted in zip(asks, expected, strict=False):
        answer = read(post(server, ask))
        found = [(code, confidence) for code, _, confidence in answer["recommendation"]]
        same = [code for code, _ in found] == [code for code, _ in wanted]
        if not same or any(abs(a[1] - b[1]) > ROUNDED for a, b in zip(found, wanted, strict=True)):
            raise RuntimeError(f"{ask.path} {ask.body}: {found} instead of {wanted}")
        if answer["source"] != "cart" or len(found) != N:
            raise RuntimeError(f"{ask.path} {ask.body}: {len(found)} companions from {answer['source']!r}")


def read(answer: Document) -> Document:
    """The result of /send_data, or that of the only row of /invocations."""
    found: Document = answer["result"] if "result" in answer else answer["predictions"][0]
    return found


def sign_in(server: Server, name: str, password: str) -> str:
    """A token, as POST /token gives it."""
    form = urllib.parse.urlencode({"username": name, "password": password}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/token", data=form, timeout=30) as answer:
        return str(json.loads(answer.read())["access_token"])


def _cart(baskets: Baskets, row: int, rng: np.random.Generator) -> list[int]:
    found: dict[int, None] = {}
    for one in _from(baskets, row, rng):
        found[one] = None
        if len(found) == CART:
            break
    return list(found)


def _from(baskets: Baskets, row: int, rng: np.random.Generator) -> Iterator[int]:
    for _ in range(100 * CART):  # a tiny shop may not have as many products
        yield from rng.permutation(baskets.items[baskets.starts[row] : baskets.starts[row + 1]]).tolist()
        row = int(rng.integers(len(baskets)))


def _json(content: Document) -> str:
    return json.dumps(content, separators=(",", ":"))
