"""Which dates of a file lie so far from the rest that they are slips of a hand or of a clock."""

from __future__ import annotations

from collections.abc import Sequence

FAR_SHARE = 0.001
"""What lies beyond a long gap is far when it is at most this share of all; more of it is a time of its own."""


def span_of_bulk(places: Sequence[int], counts: Sequence[int], *, gap: int) -> tuple[int, int]:
    """The first and the last of `places` (days or months, ascending) that are not far: those between two parts with
    more than FAR_SHARE of all `counts`, where parts are what lies over `gap` apart. `ValueError` without places."""
    begins = [0, *(n for n in range(1, len(places)) if places[n] - places[n - 1] > gap)]
    parts = [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(places)], strict=True)]
    most = FAR_SHARE * sum(counts)
    large = [part for part in parts if sum(counts[part]) > most] or parts
    return min(places[large[0]]), max(places[large[-1]])
