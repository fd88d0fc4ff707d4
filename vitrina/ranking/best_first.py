"""The best of what is looked at one by one, in compiled code."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def insert(keys, scores, found, key, score):  # type: ignore[no-untyped-def]  # compiled
    """Puts a key among the `found` that lie in `keys` and `scores` (room,), the highest score first, ties in the order
    of insertion; how many lie there then. The worst falls out where there is no room for all."""
    room = len(keys)
    if room == 0 or (found == room and score <= scores[room - 1]):
        return found
    place = min(found, room - 1)
    while place > 0 and scores[place - 1] < score:
        keys[place] = keys[place - 1]
        scores[place] = scores[place - 1]
        place -= 1
    keys[place] = key
    scores[place] = score
    return min(found + 1, room)
