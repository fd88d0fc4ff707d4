"""Draws the dashboards of a run of some minutes: visitors, carts and the bank's clients come, models are trained and
swapped, a worker is killed."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from .asking import Sources, Span
from .boards import BOARDS
from .drawing import draw

if TYPE_CHECKING:
    from watched_shop import WatchedShop  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
DAY = 86_400
SCRAPE_SECONDS = 2
GRAPHITE_SECONDS = 10
RETRAININGS = (6, 5, 3, 2, 1, 0)
"""How many days each training leaves out, one after the other."""


def draw_all(sources: Sources, folder: Path, *, seconds: float, days: int, scrape_seconds: float) -> list[Path]:
    """Draws each dashboard over the last seconds, the business over the last days."""
    folder.mkdir(parents=True, exist_ok=True)
    now, drawn = time.time(), []
    for board in BOARDS:
        told = json.loads(board.text())
        span = Span(now - seconds, now, scrape_seconds=scrape_seconds)
        if board.name == "business":
            span = Span(now - days * DAY, now, scrape_seconds=scrape_seconds)
        path = folder / f"dashboard-{board.name}.png"
        draw(told, sources, span, sources.choice(told, span), path)
        drawn.append(path)
    return drawn


def draw_a_run(folder: Path = PICTURES) -> list[Path]:
    """Runs a shop of the tests, with a log that ends at the last midnight, and draws what its dashboards showed."""
    sys.path.append(str(ROOT / "tests" / "servers"))
    from watched_shop import WatchedShop

    began = time.time()
    with tempfile.TemporaryDirectory(prefix="vitrina-pictures-") as kept:
        end = int(began) // DAY * DAY
        shop = WatchedShop(Path(kept), end=end, interval=f"{SCRAPE_SECONDS}s", graphite_seconds=GRAPHITE_SECONDS)
        with shop:
            shop.export()
            shop.train(shop.as_of(RETRAININGS[0]))
            shop.train_bank("--recipe", "no_lags")
            shop.train_basket("--recipe", "ease")
            shop.add_account()
            shop.serve()
            watched = time.time()
            with visitors(shop):
                for round_, days in enumerate(RETRAININGS[1:]):
                    time.sleep(30)
                    if round_ == 1:
                        killed = min(psutil.Process(shop.server.pid).children(), key=lambda child: child.pid)
                        killed.kill()
                    if round_ == 2:
                        shop.train("--columns", "user=nobody")  # fails, and is seen to
                    if round_ == 3:
                        shop.train_bank()
                    if round_ == 4:
                        shop.train_basket()
                    shop.train(shop.as_of(days))
                time.sleep(60)
                shop.scraped()
                sources = Sources(shop.prometheus.url, shop.graphite.url)
                return draw_all(sources, folder, seconds=time.time() - watched, days=90, scrape_seconds=SCRAPE_SECONDS)


@contextmanager
def visitors(shop: WatchedShop) -> Iterator[None]:
    """Requests while the block lasts: of a few visitors at a time (known ones, strangers, sessions, similar items), of
    those who ask for the bank's clients, and of those who ask about carts."""
    stop = threading.Event()
    threads = [threading.Thread(target=_visit, args=(shop, seed, stop), daemon=True) for seed in range(4)]
    threads += [threading.Thread(target=_ask_the_bank, args=(shop, seed, stop), daemon=True) for seed in range(2)]
    threads.append(threading.Thread(target=_ask_about_carts, args=(shop, 1, stop), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _visit(shop: WatchedShop, seed: int, stop: threading.Event) -> None:
    chance = random.Random(seed)
    known: list[Any] = shop.visitors
    with httpx.Client(base_url=shop.url, timeout=30) as client:
        items = shop.ask(client, -1).json()["recs"]
        while not stop.wait(chance.expovariate(12)):
            # A killed worker takes its connections along; in the stack the proxy would ask another one.
            with suppress(httpx.TransportError):
                _ask(shop, client, chance, known, items)


def _ask(shop: WatchedShop, client: httpx.Client, chance: random.Random, known: list[Any], items: list[Any]) -> None:
    kind = chance.random()
    if kind < 0.01:
        client.post("/recommendations?user_id=1&k=many")
    elif kind < 0.15:
        client.get("/similar_items", params={"item_id": chance.choice(items), "k": 10})
    elif kind < 0.35:
        shop.ask(client, -1 - chance.randrange(10_000), k=chance.choice((5, 10, 20)))
    elif kind < 0.55:
        shop.ask(client, chance.choice(known), session=chance.sample(items, 2))
    else:
        shop.ask(client, known[int(len(known) * chance.random() ** 2)], k=chance.choice((5, 10, 10, 20)))


def _ask_the_bank(shop: WatchedShop, seed: int, stop: threading.Event) -> None:
    from mimic_load import mimic_load  # type: ignore[import-not-found]

    chance = random.Random(seed)
    with httpx.Client(base_url=shop.url, timeout=30) as client:
        while not stop.wait(chance.expovariate(20)):
            kind = chance.random()
            with suppress(httpx.TransportError):
                if kind < 0.01:
                    client.post("/predict", json={"agee": 35})
                elif kind < 0.4:
                    client.get("/random")
                else:
                    client.post("/predict_proba" if kind < 0.5 else "/predict", json=mimic_load().client(chance))


def _ask_about_carts(shop: WatchedShop, seed: int, stop: threading.Event) -> None:
    """Carts of a few products that go together, some with an odd one, some empty; now and then nobody is signed in, or
    a password is wrong."""
    from watched_shop import ODD, PASSWORD

    chance = random.Random(seed)
    with httpx.Client(base_url=shop.url, timeout=30) as client:
        bearer = shop.sign_in(client)
        popular = shop.companions(client, bearer, [ODD], n=50)
        cart: list[str] = []
        while not stop.wait(chance.expovariate(20)):
            with suppress(httpx.TransportError):
                kind = chance.random()
                if kind < 0.01:
                    client.post("/send_data", json={"product_list": cart})
                elif kind < 0.02:
                    given = chance.choice((PASSWORD, PASSWORD, "wrong"))
                    client.post("/token", data={"username": f"ann{chance.randrange(3) or ''}", "password": given})
                elif kind < 0.06:
                    shop.companions(client, bearer, [])
                elif kind < 0.1:
                    shop.companions(client, bearer, [ODD])
                else:
                    offered = shop.companions(client, bearer, [*cart, ODD] if kind < 0.2 else cart)
                    ends = not offered or chance.random() < 0.2
                    cart = [chance.choice(popular)] if ends or not cart else [*cart, chance.choice(offered)]
