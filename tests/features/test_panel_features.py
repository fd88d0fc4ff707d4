"""Feature rows of a generated panel: one client at a time equals the batch, and what is missing stays missing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.panels.columns import PRODUCTS, PROFILE
from vitrina.events.panels.panel import NO_DATE, NO_LEVEL, Panel
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.features.panel_context import ProductContext
from vitrina.features.panel_features import (
    HISTORY_FEATURES,
    PANEL_FEATURES,
    PanelInputs,
    pair_features,
    panel_inputs,
)
from vitrina.features.panel_history import client_lags, product_matrix
from vitrina.features.panel_labels import acquisitions
from vitrina.features.panel_profile import ProfileEncoding, Value

N = len(PRODUCTS)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    folder = tmp_path_factory.mktemp("panel")
    generate_panel(PanelSpec(customers=3_000, seed=2), folder)
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        yield Panel.open(folder, engine)


@pytest.fixture(scope="module")
def encoding(panel: Panel) -> ProfileEncoding:
    return ProfileEncoding.fit(panel, np.arange(len(panel)))


@pytest.fixture(scope="module")
def context(panel: Panel) -> ProductContext:
    labels = acquisitions(panel)
    return ProductContext.fit(panel.month[labels.rows], panel.owned[labels.rows], labels.taken, labels.judged)


def all_pairs(inputs: PanelInputs, context: ProductContext) -> npt.NDArray[np.float32]:
    """(rows, 24, features)."""
    rows = len(inputs.profile)
    found = pair_features(inputs, context, np.repeat(np.arange(rows), N), np.tile(np.arange(N), rows))
    return found.reshape(rows, N, len(PANEL_FEATURES))


def sent_by_client(panel: Panel, row: int) -> dict[str, Value]:
    """The profile of a row as a request holds it."""
    values: dict[str, Value] = {}
    for column in PROFILE:
        value = panel.profile[column.name][row].item()
        if column.name in panel.levels:
            value = None if value == NO_LEVEL else panel.levels[column.name][value]
        elif column.kind == "date" and value == NO_DATE:
            value = None
        values[column.name] = value
    return values


def test_batch_equals_single(panel: Panel, encoding: ProfileEncoding, context: ProductContext) -> None:
    rows = np.random.default_rng(0).choice(len(panel), 60, replace=False)
    batch = all_pairs(panel_inputs(panel, rows, encoding), context)
    assert batch.dtype == np.float32
    for row, expected in zip(rows, batch, strict=True):
        month = int(panel.month[row])
        earlier = np.arange(panel.rows_of(int(panel.customer[row])).start, row)
        past = client_lags(
            month,
            int(panel.owned[row]),
            panel.month[earlier],
            panel.owned[earlier],
            known=int(panel.known[row]),
            portfolios_known=panel.known[earlier],
        )
        single = PanelInputs(encoding.encode_client(sent_by_client(panel, row), month), past)
        np.testing.assert_array_equal(all_pairs(single, context)[0], expected)


def test_what_is_missing_is_nan(panel: Panel, encoding: ProfileEncoding, context: ProductContext) -> None:
    month = int(panel.month.max())
    inputs = PanelInputs(encoding.encode_client({"client_segment": "04 - NEW"}, month), client_lags(month, 0b101))
    found = dict(zip(PANEL_FEATURES, all_pairs(inputs, context)[0].T, strict=True))
    missing = {name for name, values in found.items() if np.isnan(values).all()}
    assert missing == {column.name for column in PROFILE} | set(HISTORY_FEATURES) - {"months_seen"}
    assert found["months_seen"][0] == 1 and found["owned_count"][0] == 2
    assert [found[f"owns_{product.column}"][0] for product in PRODUCTS[:4]] == [1, 0, 1, 0]
    known_later = PanelInputs(inputs.profile, client_lags(month, 0, known=~1 & 0xFFFFFF))
    assert np.isnan(all_pairs(known_later, context)[0, 0, PANEL_FEATURES.index("owns_" + PRODUCTS[0].column)])


def test_a_product_sees_its_own_past(encoding: ProfileEncoding, context: ProductContext) -> None:
    month = 2016 * 12  # January 2016: what is foretold is February
    past = client_lags(
        month, 0b10, np.array([month - 2, month - 1, month - 12], np.int32), np.array([1, 3, 4], np.uint32)
    )
    inputs = PanelInputs(encoding.encode_client({}, month), past)
    found = dict(zip(PANEL_FEATURES, all_pairs(inputs, context)[0].T, strict=True))
    assert found["lag_1"][:3].tolist() == [1, 1, 0]
    assert found["lag_2"][:3].tolist() == [1, 0, 0]
    assert found["lag_12"][:3].tolist() == [0, 0, 1]
    assert np.isnan(found["lag_3"]).all()
    np.testing.assert_array_equal(found["months_since_change"][:4], [0, 1, 2, np.nan])
    assert found["changes"][:4].tolist() == [2, 1, 1, 0]
    assert (found["taken_last_month"][0], found["dropped_last_month"][0]) == (0, 1)
    assert (found["changes_all"][0], found["months_since_any_change"][0]) == (4, 0)
    assert found["target_season"][0] == 1
    np.testing.assert_array_equal(found["season_lift"], context.season[1])
    np.testing.assert_allclose(found["portfolio_log_odds"], context.start + context.owned[1], rtol=1e-6)


def test_dates_count_in_months_and_categories_by_frequency(panel: Panel, encoding: ProfileEncoding) -> None:
    sent: dict[str, Value] = {"registration_date": 0, "client_segment": encoding.levels["client_segment"][1], "age": 33}
    found = dict(zip([column.name for column in PROFILE], encoding.encode_client(sent, 1971 * 12 + 1)[0], strict=True))
    assert (found["registration_date"], found["client_segment"], found["age"]) == (13, 1, 33)
    codes = panel.profile["client_segment"]
    counts = [
        np.sum(codes == panel.levels["client_segment"].index(level)) for level in encoding.levels["client_segment"]
    ]
    assert counts == sorted(counts, reverse=True) and len(counts) == 3


def test_the_context_finds_planted_portfolios_and_seasons() -> None:
    rng = np.random.default_rng(4)
    rows, month = 40_000, 2015 * 12
    owned = rng.integers(0, 4, rows).astype(np.uint32)
    offset = rng.integers(0, 6, rows)
    # Product 5 comes 4 times as often to owners of product 1, and 3 times as often in March; product 0 says nothing.
    chance = 0.02 * np.where(owned & 2, 4, 1) * np.where(offset == 1, 3, 1)
    taken = np.where(rng.random(rows) < chance, 1 << 5, 0).astype(np.uint32)
    found = ProductContext.fit((month + offset).astype(np.int32), owned, taken, np.full(rows, 0xFFFFFF, np.uint32))
    assert found.owned[1, 5] == pytest.approx(np.log(4), abs=0.15)
    assert found.owned[0, 5] == pytest.approx(0, abs=0.15)
    assert found.season[2, 5] - found.season[1, 5] == pytest.approx(np.log(3), abs=0.2)
    assert np.isnan(found.season[0]).all()
    rate = product_matrix(taken)[:, 5].mean()
    assert found.prior[5] == pytest.approx(np.log(rate / (1 - rate)), abs=0.01)


def test_the_context_survives_json(context: ProductContext) -> None:
    again = ProductContext.from_json(json.loads(json.dumps(context.as_json())))
    for one, other in zip(context, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
