"""Lags, changes and labels of a panel, against customers whose life is written down here."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.errors import RequestError
from vitrina.events.panels.columns import ALL_KNOWN
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_history import LAGS, NEVER, client_lags, history_lags, product_matrix
from vitrina.features.panel_labels import acquisitions

START = 2015 * 12
Life = list[tuple[int, int, int]]  # months after START, owned, known


def panel_of(lives: dict[int, Life]) -> Panel:
    rows = [(number, START + at, owned, known) for number in sorted(lives) for at, owned, known in lives[number]]
    customer, month, owned, known = (np.array(column) for column in zip(*rows, strict=True))
    return Panel(
        customer=customer.astype(np.int64),
        month=month.astype(np.int32),
        owned=owned.astype(np.uint32),
        known=known.astype(np.uint32),
        profile={},
        levels={},
        indptr=np.concatenate([[0], np.cumsum([len(lives[number]) for number in sorted(lives)])]).astype(np.int64),
    )


def whole(*portfolios: int) -> Life:
    return [(at, owned, ALL_KNOWN) for at, owned in enumerate(portfolios)]


@pytest.fixture
def panel() -> Panel:
    """7: a product 0 taken, dropped and taken again over 13 months; 9: a gap in months and one in what is known."""
    return panel_of(
        {
            7: whole(0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3),
            9: [(0, 0b100, ALL_KNOWN), (2, 0b100, ALL_KNOWN & ~1), (3, 0b101, ALL_KNOWN), (4, 0b001, ALL_KNOWN)],
        }
    )


def test_lags_are_the_portfolios_of_their_months(panel: Panel) -> None:
    found = history_lags(panel, np.array([12, 3, 16]))
    assert LAGS == (1, 2, 3, 4, 5, 6, 12)
    assert found.lag_owned.tolist() == [[1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [5, 4, 0, 4, 0, 0, 0]]
    assert found.present.tolist() == [[1] * 7, [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0]]
    assert found.lag_known[2].tolist() == [ALL_KNOWN, ALL_KNOWN & ~1, 0, ALL_KNOWN, 0, 0, 0]
    assert found.seen.tolist() == [13, 4, 4]
    assert found.month.tolist() == [START + 12, START + 3, START + 4]
    assert found.owned.tolist() == [3, 0, 1]


def test_changes_are_dated_and_counted(panel: Panel) -> None:
    found = history_lags(panel, np.array([0, 2, 12, 16]))
    assert found.since[:, :3].tolist() == [[NEVER] * 3, [1, NEVER, NEVER], [1, 0, NEVER], [1, NEVER, 0]]
    assert found.changes[:, :3].tolist() == [[0, 0, 0], [1, 0, 0], [3, 1, 0], [1, 0, 1]]
    assert (found.since[:, 3:] == NEVER).all() and not found.changes[:, 3:].any()


def test_the_future_is_not_seen(panel: Panel) -> None:
    cut = panel_of({7: whole(0, 1, 1, 0)})
    for seen, alone in zip(history_lags(panel, np.arange(4)), history_lags(cut, np.arange(4)), strict=True):
        np.testing.assert_array_equal(seen, alone)


def test_a_client_is_a_row_of_the_panel(panel: Panel) -> None:
    rng = np.random.default_rng(5)
    for row in range(len(panel)):
        of = panel.rows_of(int(panel.customer[row]))
        earlier = rng.permutation(np.arange(of.start, row))
        alone = client_lags(
            int(panel.month[row]),
            int(panel.owned[row]),
            panel.month[earlier],
            panel.owned[earlier],
            known=int(panel.known[row]),
            portfolios_known=panel.known[earlier],
        )
        for one, batch in zip(alone, history_lags(panel, np.array([row])), strict=True):
            np.testing.assert_array_equal(one, batch, strict=True)


def test_a_client_without_history_has_no_lags() -> None:
    alone = client_lags(START, 5)
    assert not alone.present.any() and not alone.lag_known.any()
    assert (alone.since == NEVER).all()
    assert alone.seen.tolist() == [1]


@pytest.mark.parametrize(("months", "says"), [((3, 3), "2015-04 is there twice"), ((3, 6), "2015-07 is not before")])
def test_wrong_history_months_are_refused(months: tuple[int, int], says: str) -> None:
    with pytest.raises(RequestError, match=f"history: {says}"):
        client_lags(START + 6, 0, np.array(months, np.int32) + START, np.zeros(2, np.uint32))


def test_bits_become_columns() -> None:
    found = product_matrix(np.array([0, 1 << 23 | 1], np.uint32))
    assert found.shape == (2, 24)
    assert np.flatnonzero(found[1]).tolist() == [0, 23] and not found[0].any()


def test_labels_need_the_next_month(panel: Panel) -> None:
    found = acquisitions(panel)
    assert found.rows.tolist() == [*range(12), 14, 15]
    assert np.flatnonzero(found.taken).tolist() == [0, 10, 11]
    assert found.taken[[0, 10, 11]].tolist() == [1, 1, 2]
    assert (found.judged[12] & 1, found.taken[12]) == (0, 0)  # product 0 was not known, then owned
    only = acquisitions(panel, START + 3, START + 10)
    assert only.rows.tolist() == [*range(3, 11), 15]
    assert only.taken.tolist() == [0] * 7 + [1, 0]
