"""Made-up clients look like the panel column by column, and are nobody's rows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vitrina.events.panels.columns import PRODUCTS, PROFILE
from vitrina.events.panels.panel import NO_LEVEL, Panel
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_marginals import FEWEST, PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding

DRAWN = 1_500


@pytest.fixture(scope="module")
def marginals(bank_panel: Panel) -> PanelMarginals:
    return PanelMarginals.fit(bank_panel, np.arange(len(bank_panel)))


@pytest.fixture(scope="module")
def drawn(marginals: PanelMarginals) -> list[dict]:
    rng = np.random.default_rng(1)
    return [marginals.draw(rng) for _ in range(DRAWN)]


def test_values_occur_as_often_as_in_the_panel(bank_panel: Panel, drawn: list[dict]) -> None:
    for name in ("gender", "client_segment", "ind_client_activity"):
        codes = bank_panel.profile[name]
        counts = Counter(client[name] for client in drawn)
        for code, level in enumerate(bank_panel.levels[name]):
            assert counts[level] / DRAWN == pytest.approx((codes == code).mean(), abs=0.04)
    known = bank_panel.profile["income"][~np.isnan(bank_panel.profile["income"])]
    incomes = [client["income"] for client in drawn if client["income"] is not None]
    assert len(incomes) / DRAWN == pytest.approx(len(known) / len(bank_panel), abs=0.04)
    assert np.median(incomes) == pytest.approx(np.median(known), rel=0.1)
    assert np.percentile(known, 1) <= min(incomes) < max(incomes) <= np.percentile(known, 99) + 1
    owned = product_matrix(bank_panel.owned).sum(axis=0) / product_matrix(bank_panel.known).sum(axis=0)
    for place, product in enumerate(PRODUCTS):
        assert sum(client[product.column] for client in drawn) / DRAWN == pytest.approx(owned[place], abs=0.04)


def test_portfolios_change_as_often_as_in_the_panel(bank_panel: Panel, marginals: PanelMarginals) -> None:
    rng = np.random.default_rng(4)
    drawn = [marginals.draw_with_past(rng) for _ in range(DRAWN)]
    month = bank_panel.month
    followed = (bank_panel.customer[1:] == bank_panel.customer[:-1]) & (month[1:] == month[:-1] + 1)
    before, now = product_matrix(bank_panel.owned[:-1][followed]), product_matrix(bank_panel.owned[1:][followed])
    for change, held in (("taken", 1), ("given up", 0)):
        made_up = sum(
            client[product.column] == held != client["history"][0][product.column]
            for client in drawn
            for product in PRODUCTS
        )
        real = ((now == bool(held)) & (before != bool(held))).sum() / len(now)
        assert real > 0 and made_up / DRAWN == pytest.approx(real, rel=0.35), change
    read = [read_client(client, default_month=1) for client in drawn]
    assert {one.month for one in read} == {month.max()} and {tuple(one.months) for one in read} == {(month.max() - 1,)}


def test_every_made_up_client_can_be_asked_for(bank_panel: Panel, drawn: list[dict]) -> None:
    encoding = ProfileEncoding.fit(bank_panel, np.arange(len(bank_panel)))
    inputs = [client_inputs(read_client(client, default_month=1), encoding) for client in drawn]
    profile = np.concatenate([one.profile for one in inputs])
    told = {column.name: place for place, column in enumerate(PROFILE)}
    for name in ("age", "registration_date", "gender", "entry_channel", "income"):
        assert np.isfinite(profile[:, told[name]]).any(), name
    assert all(isinstance(client["age"], int) for client in drawn if client["age"] is not None)
    assert json.loads(json.dumps(drawn[0])) == drawn[0]


def test_json_keeps_them(marginals: PanelMarginals) -> None:
    back = PanelMarginals.from_json(json.loads(json.dumps(marginals.as_json())))
    assert back == marginals
    assert back.draw(np.random.default_rng(2)) == marginals.draw(np.random.default_rng(2))


def test_the_same_seed_draws_the_same(marginals: PanelMarginals) -> None:
    one, two = ([marginals.draw(rng) for _ in range(5)] for rng in (np.random.default_rng(3), np.random.default_rng(3)))
    assert one == two and one[0] != one[1]


def test_what_few_rows_have_is_left_out(bank_panel: Panel) -> None:
    rows = np.arange(len(bank_panel))
    levels = dict(bank_panel.levels) | {"gender": ("COUNTESS", "H", "V")}
    codes = np.where(np.arange(len(rows)) < FEWEST - 1, 0, 1).astype(np.int32)
    income = np.full(len(rows), np.nan)
    income[: FEWEST - 1] = 123_456.78
    planted = replace(bank_panel, levels=levels, profile={**bank_panel.profile, "gender": codes, "income": income})
    found = PanelMarginals.fit(planted, rows)
    assert found.profile["gender"].shares == pytest.approx({"H": 1 - (FEWEST - 1) / len(rows)}, abs=1e-6)
    text = json.dumps(found.as_json())
    assert "COUNTESS" not in text and "123456" not in text and "123457" not in text
    assert found.draw(np.random.default_rng(0))["income"] is None


def test_a_panel_without_a_profile_makes_clients_of_products(bank_panel: Panel) -> None:
    extract = replace(bank_panel, profile={}, levels={})
    found = PanelMarginals.fit(extract, np.arange(len(extract)))
    assert list(found.draw(np.random.default_rng(0))) == [product.column for product in PRODUCTS]


def test_nothing_known_is_nothing_drawn(bank_panel: Panel) -> None:
    blank = np.full(len(bank_panel), NO_LEVEL, np.int32)
    found = PanelMarginals.fit(replace(bank_panel, profile={"gender": blank}), np.arange(len(bank_panel)))
    assert found.draw(np.random.default_rng(0))["gender"] is None
