"""What the servers are asked: files of prepared requests, and a check that the answers are of the kind that is to be
measured.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.servers import Server
from benchmarks.world import World

K = 10
SESSION = 5
POOL = 20_000
CHECKED = 40


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request; `body` is JSON or empty; `authorization` is the header of that name, without it there is none."""

    path: str
    body: str = ""
    authorization: str = ""

    def line(self) -> str:
        """As load.lua reads it."""
        return f"POST\t{self.path}\t{self.authorization}\t{self.body}\n"

    def headers(self) -> dict[str, str]:
        """As load.lua sends them with a body."""
        kind = {"Content-Type": "application/json"}
        return kind | {"Authorization": self.authorization} if self.authorization else kind


def known(world: World, rng: np.random.Generator) -> list[Ask]:
    """Distinct users that have a precomputed list."""
    return [Ask(path=_path(user)) for user in world.known_users(POOL, rng, with_list=True).tolist()]


def sessions(world: World, rng: np.random.Generator) -> list[Ask]:
    """Distinct users with a history, each in a visit of 5 items."""
    users = world.known_users(POOL, rng, with_list=False).tolist()
    items = world.sessions(len(users), SESSION, rng).tolist()
    return [Ask(path=_path(user), body=_json({"session": session})) for user, session in zip(users, items, strict=True)]


def strangers(world: World, rng: np.random.Generator) -> list[Ask]:
    """Users that no log has named."""
    ids = rng.permutation(POOL)
    whole = world.lists.users.kind == "int"
    first = int(world.lists.users.ids.max()) + 1 if whole else 0
    return [Ask(path=_path(first + int(one) if whole else f"stranger-{one}")) for one in ids]


def invocations(world: World, rng: np.random.Generator) -> list[Ask]:
    """The sessions of `sessions` in MLflow's own JSON."""
    users = world.known_users(POOL, rng, with_list=False).tolist()
    items = world.sessions(len(users), SESSION, rng).tolist()
    rows = ({"user_id": _text(user), "k": K, "session": session} for user, session in zip(users, items, strict=True))
    return [Ask(path="/invocations", body=_json({"dataframe_records": [row]})) for row in rows]


def write_pool(asks: Sequence[Ask], path: Path) -> Path:
    """The file that load.lua reads."""
    path.write_text("".join(ask.line() for ask in asks), encoding="utf-8")
    return path


def check(server: Server, asks: Sequence[Ask], source: str | None) -> dict[str, float]:
    """Asks some of the requests and returns the share of answers by their `source`.

    `RuntimeError` when an answer is short, or when less than nine in ten come from `source`: then something else would
    be measured.
    """
    found: dict[str, int] = {}
    for ask in asks[:CHECKED]:
        answer = post(server, ask)
        named = answer.get("source", "none")
        items = answer.get("recs") or answer.get("predictions", [[]])[0]
        if len(items) != K:
            raise RuntimeError(f"{ask.path} {ask.body}: {len(items)} items instead of {K}: {str(answer)[:300]}")
        found[named] = found.get(named, 0) + 1
    asked = min(CHECKED, len(asks))
    if source is not None and found.get(source, 0) < 0.9 * asked:
        raise RuntimeError(f"the answers come from {found} instead of {source!r}")
    return {name: count / asked for name, count in found.items()}


def post(server: Server, ask: Ask) -> dict[str, Any]:
    """One request, answered."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{ask.path}",
        data=ask.body.encode(),
        headers=ask.headers(),
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: dict[str, Any] = json.loads(answer.read())
    return content


def _path(user: Any) -> str:
    return f"/recommendations?user_id={_text(user)}&k={K}"


def _text(user: Any) -> Any:
    return user.decode() if isinstance(user, bytes) else user


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), default=_text)
