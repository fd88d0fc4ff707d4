"""What the bank's notebook shows: an answer to each question, every product, both cohorts, and gains beyond chance.

That it runs from a clean kernel, and says the same again, is tested for all notebooks together.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from vitrina.events.panels.columns import PRODUCTS

INTERVAL = r"([+-]\d\.\d+) \[([+-]\d\.\d+), ([+-]\d\.\d+)\]"
ASKED = (
    "Imbalance", "Months", "Products and portfolios", "What is taken after what", "Clients", "Income", "Gaps",
    "What the past adds", "MAP@7", "What the model with lags looks at", "Calibration", "Products one by one",
    "Two cohorts",
)  # fmt: skip


@pytest.fixture(scope="module")
def notebook(shown: Any) -> Any:
    return shown("bank_products.ipynb")


def gain(notebook: Any, what: str) -> tuple[float, float, float]:
    """A paired difference with its interval, as the notebook tells it."""
    found = re.search(rf"{re.escape(what)}:? {INTERVAL}", notebook.everything)
    assert found, what
    mean, low, high = map(float, found.groups())
    return mean, low, high


def test_every_question_is_answered_by_a_small_picture_and_numbers(notebook: Any) -> None:
    notebook.answers_all(ASKED)


def test_every_product_has_a_row(notebook: Any) -> None:
    table = next(
        notebook.said(cell) for cell in notebook.cells if "reports[" in cell.source and "PR AUC, lags" in cell.source
    )
    assert [product.english for product in PRODUCTS if product.english not in table] == []


@pytest.mark.parametrize("what", ["Lags against no lags", "against MultiOutput", "against popularity"])
def test_lags_gain_beyond_chance_where_products_come_back(what: str, notebook: Any) -> None:
    mean, low, high = gain(notebook, what)
    assert 0 < low < mean < high


def test_the_oracle_is_near_and_not_beaten(notebook: Any) -> None:
    share = re.search(r"which is (\d+\.\d)% of it", notebook.everything)
    assert share
    assert 85 <= float(share.group(1)) <= 100
    assert gain(notebook, "The oracle against lags")[2] > 0


def test_on_real_clients_popularity_is_beaten_and_lags_are_not_told_from_chance(notebook: Any) -> None:
    pooled = notebook.everything.partition("The last four months*")[2]
    found = [tuple(map(float, one)) for one in re.findall(INTERVAL, pooled)[:3]]
    over_popularity, over_recent, over_no_lags = found
    assert over_popularity[1] > 0 and over_recent[1] > 0
    assert over_no_lags[1] <= 0 <= over_no_lags[2]


def test_both_cohorts_stand_beside_the_published_figures(notebook: Any) -> None:
    table = next(
        notebook.said(cell) for cell in notebook.cells if "bought_before" in cell.source and "PUBLISHED" in cell.source
    )
    for name in ("all_customers", "bought_before", "ever_bought", "0.3167", "0.2371", "0.2712", "0.9581"):
        assert name in table
