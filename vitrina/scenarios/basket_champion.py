"""The champion on the command line: companions for one cart, for a file of carts, and its worth on later baskets."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.evaluation.id_files import ITEM_COLUMNS, USER_COLUMNS, id_rows
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.codes import canonical_customer
from vitrina.events.baskets.columns import NEEDED, REMEDY
from vitrina.events.baskets.reader import read_baskets
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.scenarios.basket_judgement import Questions
from vitrina.scenarios.offers_file import offers_file
from vitrina.scenarios.publication import champion_model
from vitrina.scenarios.scenario import Run

HEADER: Final = ("cart", "product", "rank", "confidence", "description", "source")
CART_COLUMNS: Final = ("cart", "cart_id", "basket", "basket_id", "invoiceno", "invoice", "order_id", "orderid")
K: Final = 7
RENAME: Final = f"A sales file has {', '.join(NEEDED)}. Rename them in the file; only a training takes --columns"


def recommend(run: Run, user_id: str | None, *, k: int, session: list[str]) -> dict[str, Any]:
    """Companions of the cart `session` for the customer `user_id`, as the service gives them."""
    version, model = champion_model(run, CompanionsModel.load)
    found = model.companions(session, k, customer=user_id)
    return {
        "user_id": user_id,
        "recs": list(found.codes),
        "titles": list(found.descriptions),
        "scores": [round(confidence, 6) for confidence in found.confidence],
        "sources": [found.source] * len(found.codes),
        "because": list(found.because),
        "unknown": list(found.unknown),
        "model_version": version,
    }


def batch(run: Run, users: Path, out: Path, *, k: int | None, new_only: bool) -> dict[str, Any]:
    """Writes cart,product,rank,confidence,description,source: the `k` (None: 7) likeliest companions of every cart of
    the CSV file `users`, a product of a cart a line, in any order.

    `NoChampionError` when nothing is promoted; `DataError` when a file cannot be read or written.
    """
    if new_only:
        raise ConfigError("--new-only: what lies in a cart is never among its companions. Leave it out")
    version, model = champion_model(run, CompanionsModel.load)
    carts, customers = read_carts(users)
    by_source: dict[str, int] = {}
    unknown: set[str] = set()
    with offers_file(out, HEADER) as write:
        for place, (cart, products) in enumerate(carts.items()):
            found = model.companions(products, k or K, customer=customers.get(cart))
            rows = zip(found.codes, found.confidence, found.descriptions, strict=True)
            write(
                (cart, code, rank, f"{confidence:.6f}", description, found.source)
                for rank, (code, confidence, description) in enumerate(rows, 1)
            )
            by_source[found.source] = by_source.get(found.source, 0) + 1
            unknown.update(found.unknown)
            if place % 1000 == 0:
                run.progress("carts", place, len(carts))
    return {
        "carts": len(carts),
        "answered_from": by_source,
        "unknown_products": len(unknown),
        "out": str(out),
        "model_version": version,
    }


def read_carts(path: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Products by cart, and the customers of the carts that name one; a customer's cart may be empty, as a line without
    a product. `DataError` as of `id_rows`, and for a cart of two customers."""
    carts: dict[str, list[str]] = {}
    customers: dict[str, str] = {}
    needed, optional = {"cart": CART_COLUMNS, "product": ITEM_COLUMNS}, {"customer": USER_COLUMNS}
    for row, (cart, product, customer) in id_rows(path, needed, optional):
        named = canonical_customer(customer)
        for what, missing in (("cart", not cart.strip()), ("product", not product.strip() and not named)):
            if missing:
                remedy = "Fill it in or drop the row; a customer's cart may be empty."
                raise DataError(f"the {what} is empty", where=f"{path}, row {row}", remedy=remedy)
        products = carts.setdefault(cart.strip(), [])
        if product.strip():
            products.append(product)
        if named and customers.setdefault(cart.strip(), named) != named:
            raise DataError(
                f"cart {cart.strip()} has two customers, {customers[cart.strip()]} and {named}",
                where=f"{path}, row {row}",
                remedy="Give each of them a cart of its own.",
            )
    if not carts:
        raise DataError("it has a header and no rows", where=str(path), remedy="Give at least one product of a cart.")
    return carts, customers


def score(run: Run, holdout: Path, *, k: int, new_only: bool) -> dict[str, Any]:
    """What the champion is worth on the caller's own baskets, a sales file as `train` takes it: with one product of
    each hidden, and with half of them. They should be later than what it learned from: `before_as_of` tells how many of
    the baskets are not (None where dates do not tell), and a note warns of them."""
    if new_only:
        raise ConfigError("--new-only: what lies in a cart is never among its companions. Leave it out")
    version, model = champion_model(run, CompanionsModel.load)
    with (
        tempfile.TemporaryDirectory(prefix="vitrina-holdout-") as scratch,
        LocalEngine(memory_limit=run.memory, threads=run.threads) as engine,
    ):
        _read_sales(holdout, Path(scratch) / "baskets", engine)
        baskets = Baskets.open(Path(scratch) / "baskets")
    questions = Questions.of(baskets)
    if not len(questions.one):
        raise DataError("no basket has two products", where=str(holdout), remedy="Give baskets to hide a product of.")
    early = int((questions.one.ts < model.as_of).sum()) if baskets.dated and model.dated else None
    if early:
        until = datetime.fromtimestamp(model.as_of / 1000, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
        run.note(
            f"{early:,} of {len(questions.one):,} baskets precede {until} UTC, up to which the champion has learned: "
            "on sales that it knows, its figures are better than they will be. Give later ones alone"
        )
    judged = questions.judge(model, partial(run.progress, "carts"), k=k)
    strange = set(baskets.codes) - set(model.codes)
    return {
        "model_version": version,
        "baskets": len(questions.one),
        "before_as_of": early,
        "products": len(baskets.codes),
        "unknown_products": len(strange),
        "metrics": judged.quality(),
    }


def _read_sales(holdout: Path, target: Path, engine: LocalEngine) -> None:
    """As `read_baskets`; where columns are missing, the error does not send to an option that only a training has."""
    try:
        read_baskets(holdout, target, engine)
    except DataError as error:
        if error.remedy != REMEDY:
            raise
        raise DataError(error.problem, where=error.where, remedy=RENAME) from error
