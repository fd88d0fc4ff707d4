"""Customers of a generated bank: when they join and leave, and what the bank knows about each of them.

Shares are those published for train_ver2.csv (segments, channels, provinces, income with its gaps, rows by month).
Codes are places in the name lists of this module; -1 is not known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrina.events.synthetic_panels.draws import chosen, normals, uniforms
from vitrina.events.synthetic_panels.spec import PanelSpec

SEGMENTS = ("01 - TOP", "02 - PARTICULARES", "03 - UNIVERSITARIO")
TOP, RETAIL, STUDENT = range(3)
CHANNELS = ("KHE", "KAT", "KFC", "KHQ", "KFA", "KHK", "KHM", "KHD", "KHN", "KAS", "KAG", "RED", "KAY", "KAA")
PROVINCES = (
    *("ALAVA", "ALBACETE", "ALICANTE", "ALMERIA", "AVILA", "BADAJOZ", "BALEARS, ILLES", "BARCELONA", "BURGOS"),
    *("CACERES", "CADIZ", "CASTELLON", "CIUDAD REAL", "CORDOBA", "CORUÑA, A", "CUENCA", "GIRONA", "GRANADA"),
    *("GUADALAJARA", "GIPUZKOA", "HUELVA", "HUESCA", "JAEN", "LEON", "LERIDA", "RIOJA, LA", "LUGO", "MADRID"),
    *("MALAGA", "MURCIA", "NAVARRA", "OURENSE", "ASTURIAS", "PALENCIA", "PALMAS, LAS", "PONTEVEDRA", "SALAMANCA"),
    *("SANTA CRUZ DE TENERIFE", "CANTABRIA", "SEGOVIA", "SEVILLA", "SORIA", "TARRAGONA", "TERUEL", "TOLEDO"),
    *("VALENCIA", "VALLADOLID", "BIZKAIA", "ZAMORA", "ZARAGOZA", "CEUTA", "MELILLA"),
)
"""Province n has the code n + 1."""

FIRST_NUMBER = 15_889
COUNTRIES = ("ES", "FR", "AR", "DE", "GB", "US", "CO", "IT", "RO")
EMPLOYEES = ("N", "B", "F", "A", "S")
INCOME_CENTRE, INCOME_SPREAD = 11.53, 0.65  # of the logarithm

_FIRST_SHARE = 625_457 / 956_645
_JOINS = np.array(
    [2.9, 2.8, 2.1, 2.6, 1.2, 198.7, 14.7, 23.6, 28.2, 15.3, 7.4, 5.7, 6.1, 5.7, 4.7, 4.7]
)  # thousands, by month after the first; the jump is July 2015
_LEAVES = 0.0016
_NEWCOMERS = 0.5  # of those that join: the others have been customers without a row
_SEGMENT_FIRST, _SEGMENT_LATER = np.array([0.052, 0.63, 0.318]), np.array([0.012, 0.45, 0.538])
_CHANNEL_OF = np.array(
    [
        [2, 52, 28, 1, 8, 2, 0.5, 0.5, 0.5, 2, 2, 1, 1, 1],
        [3, 38, 33, 2, 5, 1.5, 0.8, 0.5, 0.5, 1, 0.9, 0.8, 0.8, 0.8],
        [82, 3, 2, 7, 1, 1, 0.6, 1.8, 0.4, 0.1, 0.1, 0.2, 0.1, 0.1],
    ]
)
_CHANNEL_NEW = np.array([18, 5, 6, 16, 5, 13, 17, 1, 11, 0.5, 0.5, 7, 0.5, 0.5])
_TENURE_SHARE = np.array([0.0, 0.01, 0.08, 0.34, 0.51, 0.68, 0.996, 1.0])
_TENURE_MONTHS = np.array([0.0, 6, 12, 36, 60, 120, 240, 256])
_BIG_PROVINCES = {27: 324, 7: 94, 45: 50, 40: 44, 14: 32, 29: 29, 28: 27, 49: 25, 2: 23, 10: 22, 35: 21, 32: 20} | {
    46: 18, 34: 17, 5: 14, 36: 12, 38: 12, 44: 12, 12: 11, 9: 10, 17: 10, 6: 9,
}  # fmt: skip
_SMALL_PROVINCE, _TINY_PROVINCE = 6, 0.8
_INCOME_GAP = np.array([0.1, 0.19, 0.2])
_NO_PROFILE = 0.002
_PEOPLE, _SLOTS = 1, 26


class People(NamedTuple):
    """One entry per customer asked for. Months count from the panel's first one; tenure is in months."""

    place: NDArray[np.int64]  # 0 .. spec.customers - 1
    ncodpers: NDArray[np.int64]  # the number that the panel shows, ascending with the place
    first: NDArray[np.int64]
    last: NDArray[np.int64]  # inclusive, at most spec.months - 1
    newcomer: NDArray[np.bool_]
    blank: NDArray[np.bool_]  # nothing of the profile is known
    segment: NDArray[np.int64]
    segment_from: NDArray[np.int64]  # month from which the segment is known
    birth: NDArray[np.int64]  # month of birth, counted from the panel's first month, so negative
    tenure: NDArray[np.int64]  # in the first month; it grows by one each month
    day: NDArray[np.int64]  # of the registration, 1 .. 28
    channel: NDArray[np.int64]
    province: NDArray[np.int64]
    income: NDArray[np.float64]  # NaN: not known
    man: NDArray[np.bool_]
    country: NDArray[np.int64]
    employee: NDArray[np.int64]
    foreigner: NDArray[np.bool_]
    deceased: NDArray[np.bool_]
    spouse: NDArray[np.int64]  # 0 N, 1 S, -1 blank
    decimal: NDArray[np.bool_]  # the file writes 1.0 where it writes 1 for others
    engagement: NDArray[np.float64]  # decides the first portfolio and how often the customer is active


def people(spec: PanelSpec, index: NDArray[np.int64]) -> People:
    """The customers at these places (n,), each drawn from a stream of its own."""
    u = uniforms(spec.seed, _PEOPLE, index, _SLOTS)
    first = _joining(u[:, 0], spec.months)
    late = first > 0
    newcomer = late & (u[:, 1] < _NEWCOMERS)
    segment = np.where(late, chosen(u[:, 2], _SEGMENT_LATER), chosen(u[:, 2], _SEGMENT_FIRST))
    blank = u[:, 3] < _NO_PROFILE
    tenure = np.interp(np.where(segment == STUDENT, 0.72 * u[:, 4], u[:, 4]), _TENURE_SHARE, _TENURE_MONTHS)
    channel = np.select(
        [newcomer, *(segment == one for one in (TOP, RETAIL))],
        [chosen(u[:, 5], _CHANNEL_NEW), *(chosen(u[:, 5], _CHANNEL_OF[one]) for one in (TOP, RETAIL))],
        chosen(u[:, 5], _CHANNEL_OF[STUDENT]),
    )
    province = chosen(u[:, 6], _province_weights())
    spread = normals(u[:, 7], u[:, 8])
    centre = INCOME_CENTRE + 0.22 * (province == 27) - 0.06 + 0.25 * (segment == TOP) - 0.05 * (segment == STUDENT)
    income = np.round(np.exp(centre + 0.66 * spread), 2)
    income[(u[:, 9] < _INCOME_GAP[segment]) | blank | (newcomer & (u[:, 10] < 0.25))] = np.nan
    return People(
        place=index,
        ncodpers=FIRST_NUMBER + 2 * index + (u[:, 11] < 0.5),
        first=first,
        last=np.minimum(first + np.floor(np.log(u[:, 12]) / np.log1p(-_LEAVES)), spec.months - 1).astype(np.int64),
        newcomer=newcomer,
        blank=blank,
        segment=np.where(blank, -1, segment),
        segment_from=np.where(newcomer & (u[:, 13] < 0.4), first + 3, 0),
        birth=-np.floor(_age(segment, u[:, 14], u[:, 15], u[:, 16]) * 12).astype(np.int64),
        tenure=np.where(newcomer, 0, np.floor(tenure)).astype(np.int64),
        day=1 + np.floor(28 * u[:, 17]).astype(np.int64),
        channel=np.where((newcomer & (u[:, 10] > 0.9)) | (u[:, 10] > 0.995), -1, channel),
        province=province,
        income=income,
        man=u[:, 18] < 0.455,
        country=np.where(u[:, 19] < 0.995, 0, 1 + np.floor(8 * (u[:, 19] - 0.995) / 0.005)).astype(np.int64),
        employee=chosen(u[:, 20], np.array([99_911, 26, 18, 18, 1.0])),
        foreigner=u[:, 21] < 0.046,
        deceased=u[:, 21] > 0.9975,
        spouse=chosen(u[:, 22], np.array([99_987, 12, 1.0])) - 1,
        decimal=u[:, 23] < 0.23,
        engagement=normals(u[:, 24], u[:, 25]) - 0.9 * late,
    )


def _joining(uniform: NDArray[np.float64], months: int) -> NDArray[np.int64]:
    """Month of the first row: two thirds of the customers begin with the panel, the others as in 2015 and 2016."""
    known = min(months - 1, len(_JOINS))
    joins = np.append(_JOINS[:known], np.full(months - 1 - known, _JOINS[-1]))
    joins *= (1 - _FIRST_SHARE) / _JOINS.sum()
    return chosen(uniform, np.concatenate([[_FIRST_SHARE], joins]))


def _age(
    segment: NDArray[np.int64], child: NDArray[np.float64], one: NDArray[np.float64], two: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Years at the panel's first month."""
    bell = normals(one, two)
    ages = np.select(
        [segment == TOP, segment == RETAIL], [54 + 13 * bell, 48.5 + 14.5 * bell], 20.5 - 4.5 * np.log(one)
    )
    ages = np.clip(ages, np.where(segment == STUDENT, 19, 18 + 6 * two), 110)
    return np.where((segment == RETAIL) & (child < 0.016), 2 + 16 * one, ages)


def _province_weights() -> NDArray[np.float64]:
    weights = np.full(len(PROVINCES), float(_SMALL_PROVINCE))
    weights[-2:] = _TINY_PROVINCE
    weights[list(_BIG_PROVINCES)] = list(_BIG_PROVINCES.values())
    return weights
