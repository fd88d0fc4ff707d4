"""Offers for a whole panel: what the model says of each customer's latest month, however many blocks it is read in."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError, NoChampionError
from vitrina.events.panels.blocks import customer_blocks
from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.features.panel_features import panel_inputs
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.product_propensity import FittedProductPropensity, ProductPropensity
from vitrina.ranking.propensity_rows import propensity_rows
from vitrina.recommend.propensity_model import packed
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios import Run
from vitrina.scenarios.bank_batch import batch

NAMES = [product.column for product in PRODUCTS]
SPEC = PanelSpec(customers=600, months=8, seed=4)


@dataclass(frozen=True)
class Bank:
    """A generated panel as its file and in memory, a model that learned from it, and a run whose champion it is."""

    file: Path
    folder: Path
    panel: Panel
    model: FittedProductPropensity
    encoding: ProfileEncoding
    run: Run


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, run_at: Callable[..., Run]) -> Bank:
    root = tmp_path_factory.mktemp("bank")
    generate_panel(SPEC, root / "raw", as_raw_csv=True)
    generate_panel(SPEC, root / "validated")
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        panel = Panel.open(root / "validated", engine)
    rows = np.arange(len(panel))
    encoding = ProfileEncoding.fit(panel, rows)
    spec = ProductPropensity(iterations=20, at_least=200)
    model = spec.fit(propensity_rows(panel, encoding))
    made = packed(
        model,
        kind="product",
        encoding=encoding,
        thresholds=np.full(len(NAMES), 0.5),
        as_of_month=int(panel.month.max()),
        marginals=PanelMarginals.fit(panel, rows),
    )
    write_model(root / "model", **made._asdict())
    run = replace(run_at(root), scenario="bank_products", threads=1)
    run.registry.promote(run.registry.register(root / "model", RunRecord(fingerprint="f")).version)
    return Bank(root / "raw" / "train_ver2.csv", root / "validated", panel, model, encoding, run)


def offers(path: Path) -> list[tuple[int, str, int, float]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["customer", "product", "rank", "probability"]
    return [(int(customer), product, int(rank), float(chance)) for customer, product, rank, chance in rows]


def test_every_customer_gets_what_the_model_says_of_its_latest_month(bank: Bank, tmp_path: Path) -> None:
    told = batch(bank.run, bank.file, tmp_path / "offers.csv", k=3)
    latest = bank.panel.indptr[1:] - 1
    assert told["customers"] == len(latest)
    assert told["not_in_last_month"] == (bank.panel.month[latest] < bank.panel.month.max()).sum() > 0
    chances = bank.model.probabilities(panel_inputs(bank.panel, latest, bank.encoding))
    expected = []
    for customer, row in zip(bank.panel.customers.tolist(), chances, strict=True):
        best = np.argsort(-row, kind="stable")[:3]
        expected += [(customer, NAMES[p], rank, row[p]) for rank, p in enumerate(best, 1)]
    found = offers(tmp_path / "offers.csv")
    assert [one[:3] for one in found] == [one[:3] for one in expected]
    np.testing.assert_allclose([one[3] for one in found], [one[3] for one in expected], atol=5e-7)


def test_blocks_change_nothing(bank: Bank, tmp_path: Path) -> None:
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        blocks = customer_blocks(bank.folder, engine, 500)
    assert len(blocks) > 5
    assert [begin for begin, _ in blocks] == sorted(begin for begin, _ in blocks)
    covered = [((bank.panel.customers >= first) & (bank.panel.customers <= last)).sum() for first, last in blocks]
    assert sum(covered) == len(bank.panel.customers)
    batch(bank.run, bank.file, tmp_path / "whole.csv")
    batch(bank.run, bank.file, tmp_path / "blocks.csv", rows=500)
    assert (tmp_path / "blocks.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_is_owned_is_not_offered_and_the_rest_is_ranked(bank: Bank, tmp_path: Path) -> None:
    batch(bank.run, bank.file, tmp_path / "offers.csv", k=24)
    latest = bank.panel.owned[bank.panel.indptr[1:] - 1]
    owned = dict(zip(bank.panel.customers.tolist(), latest.tolist(), strict=True))
    by_customer: dict[int, list[tuple[str, int, float]]] = {}
    for customer, *offer in offers(tmp_path / "offers.csv"):
        by_customer.setdefault(customer, []).append(tuple(offer))  # type: ignore[arg-type]
    for customer, mask in owned.items():
        given = by_customer[customer]
        assert {name for name, _, _ in given} == {name for bit, name in enumerate(NAMES) if not mask >> bit & 1}
        assert [rank for _, rank, _ in given] == list(range(1, len(given) + 1))
        assert [chance for *_, chance in given] == sorted((chance for *_, chance in given), reverse=True)


def test_a_failing_batch_leaves_no_file(bank: Bank, run_at: Callable[..., Run], tmp_path: Path) -> None:
    out = tmp_path / "offers.csv"
    with pytest.raises(NoChampionError, match="vitrina train bank_products"):
        batch(replace(run_at(tmp_path / "new"), scenario="bank_products"), bank.file, out)
    broken = tmp_path / "panel.csv"
    broken.write_text(bank.file.read_text().replace("2015-03-28", "2015-33-28", 1))
    with pytest.raises(DataError, match=r"panel.csv, row \d+: fecha_dato"):
        batch(bank.run, broken, out)
    with pytest.raises(DataError, match="this is a folder"):
        batch(bank.run, bank.file, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["panel.csv"]
