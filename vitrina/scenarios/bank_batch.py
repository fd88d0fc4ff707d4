"""Offers for every customer of a panel file: the champion's products for the month after each one's latest."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vitrina.scenarios.offers_file import offers_file
from vitrina.scenarios.publication import champion_model
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine
    from vitrina.recommend.propensity_model import PropensityModel

HEADER: Final = ("customer", "product", "rank", "probability")
K: Final = 7
ROWS: Final = 500_000
"""Rows of the panel that are in memory at a time, about 120 bytes each."""


def batch(
    run: Run, users: Path, out: Path, *, k: int | None = None, new_only: bool = False, rows: int = ROWS
) -> dict[str, Any]:
    """Writes customer,product,rank,probability for the `k` (None: 7) likeliest products of every customer of the panel
    `users`, as `read_panel` takes it. A customer's latest month is foretold from, its earlier rows are its history.

    What is owned is never offered, so `new_only` changes nothing. Of the panel about `rows` rows are in memory at a
    time. `NoChampionError` when nothing is promoted; `DataError` when the panel cannot be read, or `out` written.
    """
    from vitrina.engine import LocalEngine
    from vitrina.events.panels.blocks import customer_blocks
    from vitrina.events.panels.columns import PRODUCTS
    from vitrina.events.panels.reader import read_panel
    from vitrina.recommend.propensity_model import PropensityModel

    version, model = champion_model(run, PropensityModel.load)
    names = np.array([product.column for product in PRODUCTS])
    with (
        offers_file(out, HEADER) as write,
        tempfile.TemporaryDirectory(prefix="vitrina-batch-") as scratch,
        LocalEngine(memory_limit=run.memory, threads=run.threads) as engine,
    ):
        panel = Path(scratch) / "panel"
        report = read_panel(users, panel, engine, lambda what, share: run.progress(what, round(share * 100), 100))
        done = older = 0
        for block in customer_blocks(panel, engine, rows):
            customers, months, offered, chances = _offers(model, panel, engine, block, k or K)
            for customer, products, probabilities in zip(customers.tolist(), offered, chances, strict=True):
                sure = probabilities > 0
                ranked = zip(names[products[sure]], probabilities[sure], strict=True)
                write((customer, name, rank, f"{chance:.6f}") for rank, (name, chance) in enumerate(ranked, 1))
            older += int((months < report.last_month).sum())
            done += len(customers)
            run.progress("customers", done, report.customers)
    return {"customers": done, "not_in_last_month": older, "out": str(out), "model_version": version}


def _offers(
    model: PropensityModel, folder: Path, engine: LocalEngine, customers: tuple[int, int], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Customers and their latest months (n,), their likeliest products and the probabilities (n, k), best first."""
    from vitrina.events.panels.panel import Panel
    from vitrina.features.panel_features import panel_inputs

    panel = Panel.open(folder, engine, customers=customers)
    latest = panel.indptr[1:] - 1
    probabilities = model.probabilities(panel_inputs(panel, latest, model.encoding))  # (n, 24)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return panel.customers, panel.month[latest], best, np.take_along_axis(probabilities, best, axis=1)
