"""Parts of baskets keep their numbers, and the matrix says what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vitrina.errors import DataError
from vitrina.events.baskets.baskets import NOBODY, Baskets

DAY = 86_400_000
HEADER = "InvoiceNo,InvoiceDate,StockCode,Description,CustomerID"


@pytest.fixture
def baskets(write_sales: Callable[..., Path], read_sales: Callable[..., Baskets]) -> Baskets:
    """Days 0..3: {a}, {a, b}, {c} of nobody, {a, b, c}."""
    lines = [(0, "a", "7"), (1, "b", "9"), (1, "a", "9"), (2, "c", ""), (3, "c", "7"), (3, "a", "7"), (3, "b", "7")]
    return read_sales(write_sales([f"{n},2011-01-0{n + 1},{c},{c},{who}" for n, c, who in lines], header=HEADER))


def test_the_matrix_has_a_one_for_each_line(baskets: Baskets) -> None:
    matrix = baskets.matrix()
    np.testing.assert_array_equal(matrix.toarray(), [[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]])
    assert (matrix.dtype, matrix.has_canonical_format) == (np.float32, True)
    assert baskets.customer.tolist() == [0, 1, NOBODY, 0]
    types = {name: getattr(baskets, name).dtype for name in ("starts", "items", "ts", "customer")}
    assert types == {"starts": np.int64, "items": np.int32, "ts": np.int64, "customer": np.int32}


def test_a_part_has_what_lies_between_and_keeps_the_numbers(baskets: Baskets) -> None:
    first = int(baskets.ts[0])
    part = baskets.between(first + DAY, first + 3 * DAY)
    assert part.invoices.tolist() == ["1", "2"]
    np.testing.assert_array_equal(part.matrix().toarray(), [[1, 1, 0], [0, 0, 1]])
    assert (part.codes, part.customers) == (baskets.codes, baskets.customers)
    assert len(baskets.between(None, first)) == len(baskets.between(first + 9 * DAY, None)) == 0
    assert len(baskets.between(first + 2 * DAY, first)) == 0
    assert baskets.between(None, None).invoices.tolist() == baskets.invoices.tolist()
    assert part.between(first + 2 * DAY, None).items.tolist() == [2]


def test_small_baskets_can_be_left_out(baskets: Baskets) -> None:
    pairs = baskets.of_size(2)
    assert pairs.invoices.tolist() == ["1", "3"]
    np.testing.assert_array_equal(pairs.matrix().toarray(), [[1, 1, 0], [1, 1, 1]])
    assert pairs.sizes.tolist() == [2, 3]
    assert len(baskets.of_size(4)) == 0 and baskets.of_size(4).matrix().shape == (0, 3)


def test_what_comes_later_is_not_opened(baskets: Baskets, tmp_path: Path) -> None:
    early = Baskets.open(tmp_path / "validated", as_of=int(baskets.ts[2]))
    assert early.invoices.tolist() == ["0", "1"]
    assert early.codes == baskets.codes[:2], "nothing is known of what is sold first later on"
    with pytest.raises(DataError, match="Give a later time"):
        Baskets.open(tmp_path / "validated", as_of=int(baskets.ts[0]))
    (tmp_path / "validated" / "lines.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"lines\.parquet: no baskets can be read"):
        Baskets.open(tmp_path / "validated")
    with pytest.raises(DataError, match="no report"):
        Baskets.open(tmp_path / "nowhere")


def test_products_and_customers_that_do_not_occur_can_be_forgotten(baskets: Baskets) -> None:
    late = baskets.between(int(baskets.ts[1]), int(baskets.ts[3])).occurring()
    assert (late.codes, late.descriptions, late.customers) == (baskets.codes, baskets.descriptions, ("9",))
    assert late.customer.tolist() == [0, NOBODY] and late.invoices.tolist() == ["1", "2"]
    third = baskets.between(int(baskets.ts[2]), int(baskets.ts[3])).occurring()
    assert (third.codes, third.descriptions, third.customers) == (baskets.codes[2:], baskets.descriptions[2:], ())
    np.testing.assert_array_equal(third.matrix().toarray(), [[1]])
    assert (third.items.dtype, third.customer.dtype) == (np.int32, np.int32)
    assert baskets.occurring() is baskets


def test_arrays_become_the_baskets_that_their_file_becomes(baskets: Baskets) -> None:
    lines = [(3, "c", "7"), (0, "A", "7.0"), (2, "c", ""), (1, "b", "9"), (1, "a", "9"), (1, "a", "9"), (3, "a", ""),
             (3, "b", "7")]  # fmt: skip
    basket, item, customer = (list(column) for column in zip(*lines, strict=True))
    made = Baskets.of_lines(
        basket, item, ts=[int(baskets.ts[n]) for n in basket], customer=customer, descriptions=baskets.descriptions
    )
    for name in ("starts", "items", "ts", "customer", "invoices"):
        np.testing.assert_array_equal(getattr(made, name), getattr(baskets, name))
        assert getattr(made, name).dtype.kind == getattr(baskets, name).dtype.kind
    for name in ("codes", "descriptions", "customers", "dated"):
        assert getattr(made, name) == getattr(baskets, name)
    assert made.report is None and made.of_size(2).invoices.tolist() == ["1", "3"]
    types = {name: getattr(made, name).dtype for name in ("starts", "items", "ts", "customer")}
    assert types == {"starts": np.int64, "items": np.int32, "ts": np.int64, "customer": np.int32}


def test_numbers_are_places_and_nobody_may_be_written_in_many_ways() -> None:
    frame = pd.DataFrame({"n": ["x", "y", "x", "z"], "item": [2, 0, 0, 1], "who": [17850.0, np.nan, np.nan, 12583.0]})
    made = Baskets.of_lines(frame["n"], frame["item"], customer=frame["who"], codes=["P", "q", "R"])
    assert (made.codes, made.descriptions) == (("P", "Q", "R"), ("", "", ""))
    np.testing.assert_array_equal(made.matrix().toarray(), [[1, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert (made.customers, made.customer.tolist()) == (("12583", "17850"), [1, NOBODY, 0])
    assert (made.dated, made.ts.tolist(), made.invoices.tolist()) == (False, [0, 1, 2], ["X", "Y", "Z"])
    plain = Baskets.of_lines([1, 1], [0, 3], customer=[-1, -1])
    assert (plain.codes, plain.customers, plain.customer.tolist()) == (("0", "1", "2", "3"), (), [NOBODY])
    none = Baskets.of_lines([], [], codes=["A"])
    assert len(none) == 0 and none.matrix().shape == (0, 1)
    texts = Baskets.of_lines([1, 1], ["b", "A"], codes=["B", "A", "C"], customer=[None, "7"])
    assert (texts.items.tolist(), texts.customers) == ([0, 1], ("7",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"item": [0]}, r"item of \(1,\) for 2 lines"),
        ({"ts": [[0, 1]]}, r"ts of \(1, 2\) for 2 lines"),
        ({"ts": [0.5, 1.0]}, "ts are no whole numbers but float64"),
        ({"item": [0, 2], "codes": ["A", "B"]}, "items from 0 to 2 for 2 codes"),
        ({"item": [-1, 0]}, "items from -1 to 0 for 1 codes"),
        ({"item": ["a", "z"], "codes": ["A", "B"]}, "item 'Z' is none of the codes"),
        ({"codes": ["A", "a "]}, "one of them is there twice"),
        ({"customer": [7, 8]}, "basket '1' has two customers, '7' and '8'"),
        ({"descriptions": ["A"]}, "1 descriptions for 2 codes"),
    ],
)
def test_arrays_that_are_no_lines_say_why(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Baskets.of_lines(**{"basket": [1, 1], "item": [0, 1], **given})
