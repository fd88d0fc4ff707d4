"""The visits that are played: who comes, what they look at, what is asked for them, and which source should answer.

They are drawn before the load with one seed, so the same plan can be played again, and what was planted (the power law,
the share of strangers) can be checked without a server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from benchmarks.world import World

KINDS = ("landing", "session", "exclude", "filter", "similar")
KS = (5, 10, 20)
K_SHARES = (0.2, 0.6, 0.2)
MOST_VIEWS = 12
MOST_EXCLUDED = 5
LONGEST_PAUSE = 3.0  # times the mean


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How visitors are. A visit is a landing without a session, then views: each asks again with all views so far.

    `exponent`: the visitor at rank r of activity comes with weight r ** -exponent. `cold_share` of the visits are by
    ids that no log has named. `views` per visit are geometric with this mean. Of the requests after a view,
    `exclude_share` leave out items and `filter_share` ask for the category of the viewed item or for what is available.
    After a view, `similar_share` also ask for similar items. `pause_seconds` is the mean thinking time before a view.
    """

    exponent: float = 1.0
    cold_share: float = 0.2
    views: float = 3.0
    exclude_share: float = 0.1
    filter_share: float = 0.1
    similar_share: float = 0.3
    pause_seconds: float = 1.0

    @property
    def requests(self) -> float:
        """Mean requests of a visit."""
        return 1 + self.views * (1 + self.similar_share)

    @property
    def seconds(self) -> float:
        """Mean length of a visit, without the answers."""
        return self.views * self.pause_seconds


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `pause` seconds pass before it. `source` is where its answer should come from, empty for similar
    items; `cold` says that the service knows no history of the user.
    """

    kind: str
    pause: float
    method: str
    path: str
    body: str
    k: int
    source: str
    cold: bool


@dataclass(frozen=True, kw_only=True)
class Visit:
    """The requests of one visit; `user` is the row of a known user, -1 for a stranger."""

    user: int
    requests: tuple[Request, ...]


def draw(world: World, shape: Shape, count: int, seed: int) -> list[Visit]:
    """`count` visits in the order of their arrival."""
    rng = np.random.default_rng(seed)
    users = known_users(world, shape.exponent, count, rng)
    cold = rng.random(count) < shape.cold_share
    return [_visit(world, shape, -1 if cold[n] else int(users[n]), n, rng) for n in range(count)]


def known_users(world: World, exponent: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of users with a history, the most active ones most often: rank r of activity with weight r ** -exponent."""
    by_activity = np.argsort(-np.diff(world.lists.histories.indptr), kind="stable")
    chances = np.cumsum(np.arange(1, len(by_activity) + 1, dtype=np.float64) ** -exponent)
    drawn = rng.random(count) * chances[-1]
    return np.asarray(by_activity[np.minimum(np.searchsorted(chances, drawn, side="right"), len(by_activity) - 1)])


def viewed_items(world: World, count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Rows of items, drawn by how often the log names them."""
    events = world.lists.histories.items
    return np.asarray(events[rng.integers(len(events), size=count)])


def write_plan(visits: list[Visit], path: Path) -> None:
    """The plan as visits.js reads it: a list of lists of requests."""
    path.write_text(json.dumps([[asdict(one) for one in visit.requests] for visit in visits]), encoding="utf-8")


def _visit(world: World, shape: Shape, user: int, number: int, rng: np.random.Generator) -> Visit:
    return Visit(user=user, requests=tuple(_requests(world, shape, user, number, rng)))


def _requests(world: World, shape: Shape, user: int, number: int, rng: np.random.Generator) -> Iterator[Request]:
    k = int(rng.choice(KS, p=K_SHARES))
    asked = f"/recommendations?user_id={quote(str(_user_id(world, user, number)), safe='')}&k={k}"
    cold = user < 0
    yield Request(
        kind="landing", pause=0.0, method="POST", path=asked, body="", k=k, source=_landing(world, user), cold=cold
    )
    seen = viewed_items(world, min(MOST_VIEWS, int(rng.geometric(1 / shape.views))), rng)
    ids = world.recommender.items.ids_of(seen)
    for place in range(len(seen)):
        pause = float(rng.exponential(shape.pause_seconds))
        kind, rules = _rules(world, shape, seen[: place + 1], ids, rng)
        yield Request(
            kind=kind,
            pause=round(min(pause, LONGEST_PAUSE * shape.pause_seconds), 3),
            method="POST",
            path=asked,
            body=json.dumps({"session": ids[: place + 1], **rules}, separators=(",", ":")),
            k=k,
            source="session",
            cold=cold,
        )
        if rng.random() < shape.similar_share:
            path = f"/similar_items?item_id={quote(str(ids[place]), safe='')}&k={k}"
            yield Request(kind="similar", pause=0.0, method="GET", path=path, body="", k=k, source="", cold=cold)


def _rules(
    world: World, shape: Shape, seen: npt.NDArray[np.int32], ids: list[Any], rng: np.random.Generator
) -> tuple[str, dict[str, Any]]:
    """Kind of the request and the rules in its body: of the item viewed last, or of those that were viewed before."""
    chance = rng.random()
    if chance < shape.exclude_share:
        return "exclude", {"exclude": ids[max(0, len(seen) - MOST_EXCLUDED) : len(seen)]}
    if chance < shape.exclude_share + shape.filter_share:
        place = int(world.recommender.catalogue.category[seen[-1]])
        if place < 0 or rng.random() < 0.5:
            return "filter", {"filter": {"available": True}}
        return "filter", {"filter": {"category": int(world.recommender.catalogue.categories[place])}}
    return "session", {}


def _landing(world: World, user: int) -> str:
    """Where the answer without a session comes from."""
    if user < 0:
        return "popular"
    return "history" if world.lists.top(user) is None else "precomputed"


def _user_id(world: World, user: int, number: int) -> Any:
    """The user's id, or for a stranger one that no user has."""
    if user >= 0:
        return world.lists.users.id_of(user)
    if world.lists.users.kind == "str":
        return f"stranger-{number}"
    return int(world.lists.users.ids.max()) + 1 + number
