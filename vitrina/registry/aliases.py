"""How champion, challenger and previous move: one decision for every registry."""

from __future__ import annotations

from collections.abc import Mapping

from vitrina.errors import RegistryError
from vitrina.registry.registry import CHALLENGER, CHAMPION, PREVIOUS

Moves = dict[
    str, str | None
]  # alias -> version it points to from now on, None: it is taken away; in the order to write


def promotion(aliases: Mapping[str, str], version: str | None, *, name: str) -> Moves:
    """The moves that make `version` (None: the challenger) the champion. `aliases` is alias -> version as it stands."""
    aim = aliases.get(CHALLENGER) if version is None else version
    if aim is None:
        raise RegistryError(f"model {name!r}: there is no challenger to promote. Train one, or name a version")
    moves: Moves = {}
    champion = aliases.get(CHAMPION)
    if champion is not None and champion != aim:
        moves[PREVIOUS] = champion
    moves[CHAMPION] = aim
    if aliases.get(CHALLENGER) == aim:
        moves[CHALLENGER] = None
    return moves


def return_to_previous(aliases: Mapping[str, str], *, name: str) -> Moves:
    """The moves that make the previous champion the champion again."""
    previous = aliases.get(PREVIOUS)
    if previous is None:
        raise RegistryError(
            f"model {name!r}: there is no previous champion to roll back to. Promote a version by its number"
        )
    return {CHAMPION: previous, PREVIOUS: None}
