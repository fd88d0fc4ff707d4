"""Requests per second and latencies of /send_data, with a token and with an API key, beside bare FastAPI routes under
the same server and `mlflow models serve` of the same champion, in one run on the same carts.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.asking import CHECKED, Ask
from benchmarks.basket import carts
from benchmarks.basket.invoices import Invoices
from benchmarks.results import Table
from benchmarks.servers import Server, running
from benchmarks.serving import (
    P99_TARGET_MS,
    QUIET,
    SERVE,
    SPEED_COLUMNS,
    Subject,
    at_full_and_half_load,
    figures,
    mlflow_serves,
    speed_row,
    with_registry,
)
from benchmarks.training import train_into
from benchmarks.world import ROOT, VITRINA, environment
from vitrina.errors import NoChampionError
from vitrina.events.baskets.baskets import Baskets
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.registry.model_format import read_model
from vitrina.registry.reader import reader_for
from vitrina.storage.objects import FolderObjects

MODEL_NAME: Final = "basket"
BARE, BARE_JSON = "bare FastAPI", "bare FastAPI, the cart's JSON"
TOKEN, KEY, KNOWN = "/send_data, token", "/send_data, API key", "/send_data, API key, known customer"
MLFLOW: Final = "mlflow models serve"
TARGETS: Final = {TOKEN: 0.4, KEY: 0.4, KNOWN: 0.4}
ACCOUNT: Final = "benchmark"


def run(
    home: Path,
    source: Invoices,
    scratch: Path,
    *,
    seconds: int,
    rounds: int,
    note: Callable[[str], None],
    seed: int = 0,
) -> dict[str, Any]:
    """Measures every subject on the champion of `home`, which is trained first when it holds none; ready for JSON."""
    if not (home / "mlflow.db").exists():
        note(f"Training on {source.told}")
        train_into(home, "basket", source.path)
    model, baskets = champion(home, scratch)
    note("Starting the servers")
    with started(home, model, baskets, scratch, np.random.default_rng(seed)) as subjects:
        full, half = at_full_and_half_load(subjects, scratch, seconds=seconds, rounds=rounds, seed=seed)
    return {
        "champion": {"kind": model.kind, "products": len(model.codes)},
        "settings": {"seconds": seconds, "rounds": rounds, "carts": carts.POOL, "cart": carts.CART, "n": carts.N},
        "subjects": {one.name: figures(full[one.name], half[one.name], {}, full[BARE]) for one in subjects},
    }


def champion(home: Path, scratch: Path) -> tuple[CompanionsModel, Baskets]:
    """The model that the servers serve, opened beside them, and the baskets of its last training. `NoChampionError`
    when there is none."""
    reader = reader_for(f"sqlite:///{(home / 'mlflow.db').absolute()}", MODEL_NAME)
    found = reader.champion()
    if found is None:
        raise NoChampionError(f"{home} has no champion. Train one: vitrina train basket --data FILE")
    reader.fetch(found.version, scratch / "model")
    baskets = Baskets.open(FolderObjects(home / "objects").local("basket/validated"))
    return CompanionsModel.load(read_model(scratch / "model")), baskets


@contextmanager
def started(
    home: Path, model: CompanionsModel, baskets: Baskets, scratch: Path, rng: np.random.Generator
) -> Iterator[list[Subject]]:
    """All subjects; those that answer with the champion were seen to answer as it does here."""
    env = with_registry(home)
    plain, known = (carts.carts(baskets, rng, customers=customers) for customers in (False, True))
    with ExitStack() as stack:

        def start(name: str, command: Sequence[str], ready: str, **more: str) -> Server:
            log = scratch / f"{name}.log"
            return stack.enter_context(running(command, ready=ready, env=env | more, cwd=ROOT, log=log))

        vitrina = start("vitrina", SERVE, "/readyz")
        bare = start("bare", [sys.executable, "-m", "benchmarks.subjects", "bare", "{port}"], "/readyz")
        mlflow = start("mlflow", mlflow_serves(f"models:/{MODEL_NAME}@champion"), "/ping", **QUIET)
        password, key = stack.enter_context(account(home))
        token = carts.sign_in(vitrina, ACCOUNT, password)
        with_token = carts.send_data(plain, f"Bearer {token}")
        with_key, of_known = (carts.send_data(some, f"Bearer {key}") for some in (plain, known))
        answers = [[carts.said(model, one) for one in some[:CHECKED]] for some in (plain, known)]
        carts.check(vitrina, with_token, answers[0])
        carts.check(vitrina, with_key, answers[0])
        carts.check(vitrina, of_known, answers[1])
        carts.check(mlflow, carts.invocations(plain), answers[0])
        yield [
            Subject(name=BARE, server=bare, asks=[Ask(path="/recommendations?user_id=1&k=10")]),
            Subject(name=BARE_JSON, server=bare, asks=carts.send_data(plain)),
            Subject(name=TOKEN, server=vitrina, asks=with_token),
            Subject(name=KEY, server=vitrina, asks=with_key),
            Subject(name=KNOWN, server=vitrina, asks=of_known),
            Subject(name=MLFLOW, server=mlflow, asks=carts.invocations(plain)),
        ]


@contextmanager
def account(home: Path) -> Iterator[tuple[str, str]]:
    """Password and API key of an account that is there as long as the block lasts."""
    password = secrets.token_urlsafe(16)
    env = environment(home) | {"VITRINA_USER_PASSWORD": password}

    def users(*words: str) -> dict[str, Any]:
        command = [*VITRINA, "users", *words, ACCOUNT, "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=ROOT)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    users("add")
    try:
        yield password, users("key")["key"]
    finally:
        users("del")


def tables(found: dict[str, Any]) -> list[Table]:
    """One table of all subjects."""
    subjects, settings, model = found["subjects"], found["settings"], found["champion"]
    rows = tuple(speed_row(name, one, TARGETS.get(name)) for name, one in subjects.items())
    faster = subjects[KEY]["requests_per_second"] / subjects[MLFLOW]["requests_per_second"]
    asked = (
        f"One worker each, {settings['carts']:,} carts of {settings['cart']} products, {settings['n']} companions. The "
        f"champion is of kind {model['kind']} and knows {model['products']:,} products. Each row: the median of "
        f"{settings['rounds']} rounds of {settings['seconds']} s in turn, 16 connections. Ratio: to the bare FastAPI "
        "route with two typed query parameters. CPU: processor time of the server alone."
    )
    compared = (
        f"With an API key /send_data is {faster:,.0f} times as fast as `{MLFLOW}` of the same champion, which asks for "
        f"none. Target of p99 at half load: at most {P99_TARGET_MS:.0f} ms."
    )
    return [Table(title="Serving", columns=SPEED_COLUMNS, rows=rows, notes=(asked, compared))]
