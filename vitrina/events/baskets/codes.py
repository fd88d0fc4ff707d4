"""One spelling each for codes, customers and invoices of sales files; and which of them stand for no sale."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"(\d+)\.0+")
_NOBODY = frozenset({"", "nan", "null", "none", "n/a"})
_CANCELLED = re.compile(r"C\s?-?\d+")
_FIVE_DIGITS = re.compile(r"\d{5}")
_FIVE_DIGITS_ONLY = re.compile(r"\d{5}[A-Z]{0,3}")

SERVICE_CODES = frozenset({"POST", "DOT", "BANK CHARGES", "AMAZONFEE", "CRUK"})
"""Codes that stand for postage, fees and the like in the UCI file and its relatives."""
SERVICE_WORDS = {"B": "ADJUST", "C2": "CARRIAGE", "D": "DISCOUNT", "M": "MANUAL", "S": "SAMPLE"}
"""Codes so short that another shop may sell something by them: what their description says where they mean that."""


def canonical_code(text: str) -> str:
    """A product's code as it is compared and shown: upper case, single spaces, whole numbers without `.0`."""
    return _plain(text).upper()


def canonical_customer(text: str) -> str:
    """A customer's number as it is compared: `17850.0` is `17850`; empty when it names nobody."""
    plain = _plain(text)
    return "" if plain.lower() in _NOBODY else plain


def canonical_invoice(text: str) -> str:
    """An invoice's number, as `canonical_code`."""
    return canonical_code(text)


def is_cancellation(invoice: str) -> bool:
    """Whether a canonical invoice number says that goods came back: a C before the digits."""
    return _CANCELLED.fullmatch(invoice) is not None


def has_five_digits(code: str) -> bool:
    """Whether a canonical code begins with five digits, as those of products in the UCI file do."""
    return _FIVE_DIGITS.match(code) is not None


def is_five_digits(code: str) -> bool:
    """Whether a canonical code is five digits and at most three letters, which an EAN is not."""
    return _FIVE_DIGITS_ONLY.fullmatch(code) is not None


def is_service(code: str, description: str) -> bool:
    """Whether a canonical code is known to stand for postage, a fee, a discount or a correction, not for a product."""
    word = SERVICE_WORDS.get(code)
    return code in SERVICE_CODES or (word is not None and word in description.upper())


def _plain(text: str) -> str:
    single = " ".join(str(text).split())
    whole = _WHOLE.fullmatch(single)
    return whole[1] if whole else single


"""The names by which `vitrina.recommend.companions_model` calls them."""
