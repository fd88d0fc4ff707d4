"""What a row of the panel was followed by: the products that its customer took in the next month."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.panel import Panel


class Acquisitions(NamedTuple):
    """rows int64 (n,): places in the panel, ascending, whose customer has a row in the next month too. taken uint32
    (n,): products that were 0 at the row and 1 a month later; judged uint32 (n,): products known in both months."""

    rows: npt.NDArray[np.int64]
    taken: npt.NDArray[np.uint32]
    judged: npt.NDArray[np.uint32]


def acquisitions(panel: Panel, first: int | None = None, last: int | None = None) -> Acquisitions:
    """The labels of rows in the months `first` .. `last` (None: no bound). The label of a row looks one month past it,
    so a split by month trains on rows up to the month before the first one it is judged on."""
    month, customer = panel.month, panel.customer
    followed = (customer[1:] == customer[:-1]) & (month[1:] == month[:-1] + 1)
    if first is not None:
        followed &= month[:-1] >= first
    if last is not None:
        followed &= month[:-1] <= last
    rows = np.flatnonzero(followed)
    judged = panel.known[rows] & panel.known[rows + 1]
    return Acquisitions(rows=rows, taken=~panel.owned[rows] & panel.owned[rows + 1] & judged, judged=judged)
