"""What an account may do: a closed set of words, each the name of a group of routes, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vitrina.errors import ConfigError

RECOMMENDATIONS: Final = "recommendations"
EVENTS: Final = "events"
ADMIN: Final = "admin"
SCOPES: Final = (RECOMMENDATIONS, EVENTS, ADMIN)
USUAL: Final = (RECOMMENDATIONS, EVENTS)


def scopes_of(words: Iterable[str], *, where: str) -> tuple[str, ...]:
    """Those words, each once, in their usual order; `ConfigError`, which names `where` they stand, for any other."""
    given = [word for word in words if word]
    if unknown := sorted(set(given) - set(SCOPES)):
        raise ConfigError(f"{where}: {unknown[0]!r} is not known. Known are: {', '.join(SCOPES)}")
    return tuple(one for one in SCOPES if one in given)
