"""Two regimes of asking: inside a visit, where the next step counts, and between visits, where the fortnight does.

What tells in one misleads in the other, so each is ranked by trees of its own.
"""

from __future__ import annotations

from typing import Final

import numba

REGIMES: Final[tuple[str, ...]] = ("visit", "between")
VISIT: Final = 0
BETWEEN: Final = 1
VISIT_GAP_MS: Final = 30 * 60_000
"""A visit is over when nothing has happened for this long."""


@numba.njit(cache=True, nogil=True)
def regime_of(visit):  # type: ignore[no-untyped-def]  # compiled
    """The regime in which a `Visit` asks; a stranger is between visits."""
    known = visit.begin < visit.end
    return VISIT if known and visit.as_of - visit.ts[visit.begin] < VISIT_GAP_MS else BETWEEN
