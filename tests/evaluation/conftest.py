from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vitrina.evaluation.truth import EventArrays


@pytest.fixture(scope="session")
def events() -> Callable[..., EventArrays]:
    """Builds `EventArrays` from (user, ts, item, kind) tuples, given in order."""

    def build(*rows: tuple[int, int, int, int]) -> EventArrays:
        user, ts, item, kind = np.array(rows, dtype=np.int64).T
        return EventArrays(
            user=user.astype(np.int32), item=item.astype(np.int32), kind=kind.astype(np.int8), ts=ts.astype(np.int64)
        )

    return build
