"""The service's own counters, read before and after the load, and held against what k6 counted."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from vitrina.telemetry import names

ROUTES = ("/recommendations", "/similar_items")
SETTLE_SECONDS = 3.0
START_SECONDS = 60.0
USAGE_SECONDS = 1.2  # the workers tell what they use once a second
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One figure that both sides know."""

    what: str
    visitors: float
    service: float

    @property
    def agrees(self) -> bool:
        """Exactly, as both count events."""
        return self.visitors == self.service


class Scrape:
    """One reading of /metrics, summed over the addresses of all replicas."""

    def __init__(self, texts: list[str]) -> None:
        self._values: dict[str, list[tuple[Labels, float]]] = {}
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    kept = self._values.setdefault(sample.name, [])
                    kept.append((frozenset(sample.labels.items()), sample.value))

    @classmethod
    def of(cls, addresses: list[str]) -> Scrape:
        """Reads every address (`http://HOST:PORT/metrics`)."""
        texts = []
        for address in addresses:
            with urllib.request.urlopen(address, timeout=10) as answer:
                texts.append(answer.read().decode())
        return cls(texts)

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels, whatever others they have; 0 without any."""
        wanted = set(labels.items())
        return sum(value for found, value in self._values.get(name, []) if wanted <= found)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Sums by the values of one label."""
        found: dict[str, float] = {}
        for labels, value in self._values.get(name, []):
            key = dict(labels).get(label, "")
            found[key] = found.get(key, 0.0) + value
        return found


def at_rest(addresses: list[str], workers: int) -> Scrape:
    """A reading before the load, when every worker serves a model and has told what its start cost.

    `RuntimeError` when that takes over a minute.
    """
    deadline = time.monotonic() + START_SECONDS
    while (serving := Scrape.of(addresses).sum(names.MODEL_INFO.name)) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {serving:.0f} of {workers} workers serve a model after {START_SECONDS:.0f} s")
        time.sleep(0.1)
    time.sleep(USAGE_SECONDS)
    return Scrape.of(addresses)


def settled(addresses: list[str], before: Scrape, answered: float) -> Scrape:
    """A reading after the load. A request is counted when its answer was sent, so the last ones may need a moment."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        now = Scrape.of(addresses)
        counted = sum(grown(before, now, names.REQUESTS.name, route=route) for route in ROUTES)
        if counted >= answered or time.monotonic() > deadline:
            return now
        time.sleep(0.05)


def grown(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    """How much a counter grew in between."""
    return after.sum(name, **labels) - before.sum(name, **labels)


def compare(before: Scrape, after: Scrape, played: dict[str, Any]) -> list[Counted]:
    """What both sides counted; `played` is what `drive.played` reads from k6's summary."""

    def seen(what: str, visitors: float, name: str, **labels: str) -> Counted:
        return Counted(what=what, visitors=visitors, service=grown(before, after, name, **labels))

    asked = sum(played["answers"].values())
    found = [
        seen(
            f"requests {route}, status 200", played["status_200"][route], names.REQUESTS.name, route=route, status="200"
        )
        for route in ROUTES
    ]
    found += [
        seen(f"requests {route}, timed", played["status_200"][route], f"{names.LATENCY.name}_count", route=route)
        for route in ROUTES
    ]
    found += [
        seen(f"answers from {source}", count, names.ANSWERS.name, source=source)
        for source, count in played["answers"].items()
        if source != "none"
    ]
    found += [
        seen("answers for users without history", played["cold_answers"], names.COLD_USERS.name),
        seen("answers by k", asked, f"{names.ASKED_ITEMS.name}_count"),
        seen("items asked for", played["asked_items"], f"{names.ASKED_ITEMS.name}_sum"),
        seen("items answered", played["given_items"], names.ITEMS.name),
        seen("errors", played["requests"] - sum(played["status_200"].values()), names.ERRORS.name),
    ]
    return found
