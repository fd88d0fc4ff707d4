"""Made-up clients that the bank's servers are asked about, with and without history rows; what has to be answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks.asking import Ask, post
from benchmarks.servers import Server
from vitrina.events.panels.columns import MONTH_COLUMN, PRODUCTS, month_text
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.ranking.propensity import Probabilities
from vitrina.recommend.propensity_model import PRODUCT_COLUMNS, PropensityModel

POOL: Final = 5_000
HISTORY_MONTHS: Final = 6
CHANGE_RATE: Final = 0.02
Document = dict[str, Any]


def clients(model: PropensityModel, rng: np.random.Generator, *, history: bool) -> list[Document]:
    """Clients of the model's last month drawn from its marginals; `history`: with the 6 months before it, in which a
    product was now and then owned when it is not any more, or the other way round.
    """
    found = []
    for _ in range(POOL):
        client: Document = {MONTH_COLUMN[1]: _day(model.as_of_month), **model.marginals.draw(rng)}
        if history:
            client["history"] = _earlier(client, model.as_of_month, rng)
        found.append(client)
    return found


def predict(documents: Sequence[Document]) -> list[Ask]:
    """As the service is asked."""
    return [Ask(path="/predict", body=_json(one)) for one in documents]


def invocations(documents: Sequence[Document]) -> list[Ask]:
    """As `mlflow models serve` is asked."""
    return [Ask(path="/invocations", body=_json({"dataframe_records": [one]})) for one in documents]


def said(model: PropensityModel, document: Document) -> tuple[Probabilities, Probabilities]:
    """The model's probabilities of one client and its answers 0 or 1, (24,) each."""
    inputs = client_inputs(read_client(document, default_month=model.as_of_month), model.encoding)
    probabilities = model.probabilities(inputs)
    return probabilities[0], model.decide(probabilities, inputs)[0].astype(float)


def check(server: Server, asks: Sequence[Ask], expected: Sequence[Probabilities]) -> None:
    """Asks the first of the requests. `RuntimeError` when an answer is another than `expected`, (24,) each: then the
    subjects do not do the same work.
    """
    for ask, wanted in zip(asks, expected, strict=False):
        found = read(post(server, ask))
        if not np.allclose(found, wanted, rtol=0, atol=1e-9):
            raise RuntimeError(f"{ask.path} {ask.body}: {found.tolist()} instead of {wanted.tolist()}")


def read(answer: Document) -> Probabilities:
    """The 24 numbers of /predict (by Russian name) or of /invocations (a row by column, or a plain row)."""
    row = answer.get("predictions", [answer])[0]
    names = [product.russian for product in PRODUCTS] if "predictions" not in answer else PRODUCT_COLUMNS
    return np.array(row if isinstance(row, list) else [row[name] for name in names], np.float64)


def _earlier(client: Document, month: int, rng: np.random.Generator) -> list[Document]:
    owned = np.array([client[name] for name in PRODUCT_COLUMNS])
    rows = []
    for back in range(1, HISTORY_MONTHS + 1):
        owned = np.where(rng.random(len(owned)) < CHANGE_RATE, 1 - owned, owned)
        rows.append({MONTH_COLUMN[1]: _day(month - back), **dict(zip(PRODUCT_COLUMNS, owned.tolist(), strict=True))})
    return rows


def _day(month: int) -> str:
    year, number = month_text(month).split("-")
    return f"28-{number}-{year}"


def _json(content: Document) -> str:
    return json.dumps(content, separators=(",", ":"))
