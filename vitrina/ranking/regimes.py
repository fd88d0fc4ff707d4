"""Two regimes of asking: inside a visit, where the next step is near, and between visits, where the next fortnight counts.

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
def regime_of(ts, begin, end, as_of):  # type: ignore[no-untyped-def]  # compiled
    """The regime of somebody with the events begin .. end - 1, the latest first, asked at `as_of`; a stranger is
    between visits."""
    return VISIT if begin < end and as_of - ts[begin] < VISIT_GAP_MS else BETWEEN
