"""What makes a customer of a generated bank take a product: the tables behind each monthly chance, by product.

All effects are in logarithms of the chance and add up: the base rate, what the portfolio already holds, what was
dropped lately or held a year ago, who the customer is, and the season. Directions and sizes follow what is published
about train_ver2.csv: active customers take ten times as many products, salary accounts and salaries go together, a
card that was dropped comes back, tax payments come in June.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.synthetic_panels.people import CHANNELS, RETAIL, STUDENT, TOP

N: Final = len(PRODUCTS)
_PLACE: Final = {product.code.removeprefix("ind_").split("_ult1")[0].removesuffix("_fin"): p
                 for p, product in enumerate(PRODUCTS)}  # fmt: skip

SHARE: Final[dict[str, float]] = {
    "ahor": 0.0001, "aval": 0.00002, "cco": 0.6555, "cder": 0.0004, "cno": 0.0809, "ctju": 0.0095, "ctma": 0.0097,
    "ctop": 0.129, "ctpp": 0.0433, "deco": 0.0018, "deme": 0.0017, "dela": 0.043, "ecue": 0.0827, "fond": 0.0185,
    "hip": 0.0059, "plan": 0.0092, "pres": 0.0026, "reca": 0.0525, "tjcr": 0.0444, "valo": 0.0256, "viv": 0.0038,
    "nomina": 0.0547, "nom_pens": 0.0594, "recibo": 0.1279,
}  # fmt: skip
"""Share of all rows of train_ver2.csv that own the product, as published."""

TAKEN: Final[dict[str, float]] = {
    "ahor": 0.1, "aval": 0.05, "cco": 559, "cder": 0.8, "cno": 299, "ctju": 2.5, "ctma": 50.5, "ctop": 29.5,
    "ctpp": 25.3, "deco": 26.1, "deme": 1.7, "dela": 119, "ecue": 227, "fond": 32, "hip": 0.8, "plan": 11,
    "pres": 0.5, "reca": 92, "tjcr": 580, "valo": 44, "viv": 0.8, "nomina": 618, "nom_pens": 700, "recibo": 1218,
}  # fmt: skip
"""Acquisitions per 100,000 pairs of months of train_ver2.csv: a sample of 118,790 pairs, published by
nike173145/mle-pr-final; products without one in it are set by hand."""

# What a portfolio leads to: "owned -> taken", log factor.
_TRANSITIONS: Final = """
cno nomina 2.8, cno nom_pens 2.6, cno recibo 2.0, cno tjcr 1.2, cno cco -2.0, nomina nom_pens 2.8, nom_pens nomina 2.2,
nomina recibo 1.0, nom_pens recibo 1.1, nomina tjcr 0.8, nom_pens plan 2.0, nomina plan 0.8, nom_pens reca 0.4,
cco recibo 1.6, cco ecue 1.6, cco nomina 0.6, cco nom_pens 0.6, cco tjcr 0.8, cco cno -0.4, cco ctop -1.5,
ctop cco -1.8, ctop recibo 1.4, ctop tjcr 1.0, ctop ctpp 1.8, ctop ecue 1.0, ctpp ctop 0.8, ctpp cco -1.5,
ctpp recibo 1.0, ecue recibo 0.4, ecue tjcr 0.6, ecue dela 0.9, ecue reca 0.7, recibo tjcr 1.0, recibo reca 1.4,
recibo nom_pens 0.4, recibo ecue 0.5, tjcr recibo 0.6, tjcr pres 1.5, tjcr ecue 0.4, reca recibo 0.5, valo fond 2.0,
valo cder 3.5, fond valo 1.8, fond plan 1.0, fond dela 1.0, dela fond 1.5, dela deco 2.2, dela valo 1.0, deco dela 3.0,
deme dela 2.6, plan fond 1.2, hip recibo 0.9, hip viv 1.5, pres tjcr 0.9, ctju ctma 2.0, viv recibo 0.6,
ctma recibo 1.2
"""
# Calendar months (1 to 12) in which a product is taken more or less often than on average, log factor.
_SEASONS: Final = """
cco 6 0.6, cco 7 0.7, cco 12 0.35, cco 10 -0.25, cco 11 -0.25, cco 4 -0.2, reca 6 1.9, reca 4 0.3, reca 10 0.5,
ctma 9 1.3, ctma 10 0.8, valo 10 1.1, valo 1 0.4, cno 12 0.5, cno 2 0.3, cno 6 -0.2, nomina 2 0.25, nomina 7 0.25,
nomina 8 -0.4, nomina 6 0.1, nom_pens 2 0.25, nom_pens 7 0.25, nom_pens 8 -0.35, nom_pens 6 0.15, recibo 2 0.15,
recibo 6 0.3, recibo 8 -0.2, tjcr 2 0.2, tjcr 3 0.2, tjcr 6 0.15, tjcr 8 -0.25, tjcr 12 -0.15, ecue 1 0.3, ecue 2 0.2,
ecue 7 -0.4, ecue 8 -0.4, fond 2 0.5, fond 3 0.5, fond 4 0.5, fond 8 -0.5, dela 2 0.3, dela 6 0.25, dela 12 -0.3,
plan 12 1.5, plan 11 0.6, plan 1 0.3
"""
_SEGMENT: Final = {
    TOP: {"": 0.5, "fond": 0.8, "valo": 0.8, "plan": 0.7, "dela": 0.5, "reca": 0.5, "tjcr": 0.2, "cco": -0.3},
    RETAIL: {"": 0.1},
    STUDENT: {"": -0.35, "fond": -1.2, "valo": -0.8, "plan": -1.5, "dela": -0.6, "reca": -0.6, "hip": -2.0,
              "nomina": 0.35, "cno": 0.2, "cco": 0.1},
}  # fmt: skip
_NEW: Final = {"": 0.5, "cco": 1.3, "nomina": 0.9, "nom_pens": 0.8, "recibo": 1.1, "cno": 1.2, "ecue": 0.9, "ctma": 1.5}
_DIGITAL: Final = {"ecue": 0.7, "tjcr": 0.3, "ctop": -0.5}
_INCOME: Final = {
    "fond": 0.4, "valo": 0.4, "plan": 0.4, "dela": 0.3, "reca": 0.3, "tjcr": 0.2, "recibo": 0.1, "cco": -0.1,
}  # fmt: skip
_FIRST_LOADING: Final = {"": 2.1, "cco": 0.2, "ctju": -0.5, "ctop": 1.0, "ctma": 0.8}

RETURNS: Final = (5.0, 4.2, 3.5)
"""A product that was last owned 1, 2 or 3 months ago, log factor."""
YEAR_AGO: Final = 1.8
"""A product that is not owned now nor 1 to 3 months ago, and was owned 12 months ago."""
ACTIVITY: Final = (-1.35, 0.85, 0.3)
"""Inactive, active, not known."""
FRESH_DROP: Final = 1.1
"""Dropping a product that was not owned 3 months ago."""
LARGEST: Final = 8.0
"""All effects together stay within this."""
AGES: Final = 121  # years 0 .. 119; the last place is "not known"
TENURES: Final = 5  # under 6 months, under 12, under 60, 60 or more, not known
NOT_KNOWN_SEGMENT, NOT_KNOWN_ACTIVITY, NOT_KNOWN_AGE, NOT_KNOWN_TENURE = 3, 2, AGES - 1, TENURES - 1

Table = NDArray[np.float32]


def by_product(values: dict[str, float]) -> NDArray[np.float64]:
    """(24,) of a dictionary by short code; "" is all the others, 0 when not given."""
    full = np.full(N, values.get("", 0.0))
    for code, value in values.items():
        if code:
            full[_PLACE[code]] = value
    return full


def transitions() -> NDArray[np.float32]:
    """(owned 24, taken 24)."""
    table = np.zeros((N, N), dtype=np.float32)
    for owned, taken, value in (rule.split() for rule in _TRANSITIONS.split(",")):
        table[_PLACE[owned], _PLACE[taken]] = float(value)
    return table


def mask_tables() -> Table:
    """(3, 256, 24): the sum of `transitions` over the products in each byte of a portfolio."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8)
    whole = transitions()
    parts = [(bits[:, :, None] * whole[first : first + 8]).sum(axis=1) for first in (0, 8, 16)]
    return np.stack(parts).astype(np.float32)


def seasons() -> NDArray[np.float64]:
    """(12, 24) by calendar month of the acquisition, January first; the factors of a year average 1."""
    table = np.zeros((12, N))
    for code, month, value in (rule.split() for rule in _SEASONS.split(",")):
        table[int(month) - 1, _PLACE[code]] = float(value)
    return table - np.log(np.exp(table).mean(axis=0))


def segment_table() -> Table:
    """(4, 24): the three segments, and not known."""
    return np.stack([*(by_product(_SEGMENT[one]) for one in (TOP, RETAIL, STUDENT)), np.zeros(N)]).astype(np.float32)


def tenure_table() -> Table:
    """(5, 24), see TENURES."""
    new = by_product(_NEW)
    return np.stack([new, 0.3 * new, np.full(N, -0.1), np.full(N, 0.1), np.zeros(N)]).astype(np.float32)


def age_table() -> Table:
    """(121, 24) by age in whole years; the last row is "not known"."""
    age = np.arange(AGES - 1, dtype=np.float64)
    table = np.maximum(-(((age - 42) / 20) ** 2) * 0.4, -1.5)[:, None] + np.zeros(N)
    older = np.clip((age - 45) / 20, -1.5, 1.5)
    for code, slope in {"dela": 0.8, "fond": 0.6, "ctpp": 0.5, "deco": 0.5, "valo": 0.3, "ecue": -0.4}.items():
        table[:, _PLACE[code]] += slope * older
    table[:, _PLACE["plan"]] -= ((age - 55) / 12) ** 2 * 0.5
    table[:, _PLACE["hip"]] -= ((age - 36) / 10) ** 2 * 0.5
    table[:, _PLACE["nom_pens"]] += 0.5 * (age >= 63)
    table[:, _PLACE["nomina"]] -= 1.0 * (age >= 63)
    table[:, _PLACE["ctju"]] = np.where(age < 18, 4.0, -6.0)
    table[:, _PLACE["ctma"]] += 1.8 * ((age >= 18) & (age < 23))
    return np.vstack([table, np.zeros(N)]).clip(-LARGEST, LARGEST).astype(np.float32)


def channel_table() -> Table:
    """(15, 24): the channels, and not known."""
    digital, none = by_product(_DIGITAL), np.zeros(N)
    rows = [digital if name in {"RED", "KHM", "KHN"} else none for name in CHANNELS]
    return np.stack([*rows, none]).astype(np.float32)


def income_slopes() -> Table:
    """(24,) per standard deviation of the logarithm of income."""
    return by_product(_INCOME).astype(np.float32)


def first_loadings() -> NDArray[np.float64]:
    """(24,) how much engagement decides whether a product is in the first portfolio."""
    return by_product(_FIRST_LOADING)


def shares(structure: float) -> NDArray[np.float64]:
    """(24,) of customers that own each product at first.

    Without structure a current account is nothing special: with its real share of two thirds, the order of products
    by acquisitions and by chance of those who lack them would differ, and a list could beat popularity by that alone.
    """
    full = by_product(SHARE)
    full[_PLACE["cco"]] += (1 - structure) * (0.3 - full[_PLACE["cco"]])
    return full


def rates(structure: float) -> NDArray[np.float64]:
    """(24,) wanted acquisitions per customer and month; see `shares`."""
    full = by_product(TAKEN) / 1e5
    full[_PLACE["cco"]] += (1 - structure) * (0.0084 - full[_PLACE["cco"]])
    return full
