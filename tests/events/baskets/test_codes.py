"""One spelling for each code and customer, however a file writes it, and what stands for no product."""

from __future__ import annotations

import pytest

from vitrina.events.baskets.codes import (
    canonical_code,
    canonical_customer,
    canonical_invoice,
    has_five_digits,
    is_cancellation,
    is_five_digits,
    is_service,
)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("85123A", "85123A"),
        ("85123a", "85123A"),
        (" 22423 ", "22423"),
        ("22423.0", "22423"),
        ("22423.00", "22423"),
        ("22423.5", "22423.5"),
        ("007", "007"),
        ("bank  charges", "BANK CHARGES"),
        ("gift_0001_20", "GIFT_0001_20"),
        ("", ""),
    ],
)
def test_a_code_has_one_spelling(written: str, canonical: str) -> None:
    assert canonical_code(written) == canonical
    assert canonical_code(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("17850.0", "17850"), ("17850", "17850"), (" Ann ", "Ann"), ("nan", ""), ("NULL", ""), ("", ""), ("0", "0")],
)
def test_a_customer_has_one_spelling(written: str, canonical: str) -> None:
    assert canonical_customer(written) == canonical


def test_a_c_before_the_digits_cancels() -> None:
    assert is_cancellation(canonical_invoice("c536379")) and is_cancellation("C-12")
    assert not any(map(is_cancellation, ("536379", "CASH", "A563185", "C", "C12X")))


def test_known_services_are_no_products() -> None:
    assert is_service("POST", "") and is_service("BANK CHARGES", "anything")
    assert is_service("M", "Manual") and not is_service("M", "MUG")
    assert not is_service("PADS", "PADS TO MATCH ALL CUSHIONS")
    assert is_five_digits("85123A") and is_five_digits("15056BL") and not is_five_digits("4006381333931")
    assert has_five_digits("85123A") and not has_five_digits("1234") and not has_five_digits("POST")
