"""Intercepts of the laws, so that a generated panel takes, drops and owns as much as the real one.

A population of fixed size and seed is walked through the real 17 months; the intercept of each product is what makes
the expected acquisitions of a month equal to the wanted ones. Only `structure` matters, so panels of any size and
seed live by the same laws.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vitrina.events.synthetic_panels import laws as law
from vitrina.events.synthetic_panels.people import people
from vitrina.events.synthetic_panels.spec import PanelSpec
from vitrina.events.synthetic_panels.walk import Laws, Matrix, Walk, unpacked

_CUSTOMERS, _SEED, _PASSES = 10_000, 20_150_128, 10
_ENOUGH = 0.01
_KEPT = 0.97  # drops per acquisition
_LARGEST_DROP = 0.25


@lru_cache(maxsize=8)
def calibrated(structure: float) -> Laws:
    """The laws of all panels of this structure."""
    nothing = np.zeros(law.N)
    laws = Laws(
        structure=structure,
        base=np.log(law.rates(structure) / (1 - law.shares(structure))),
        drop=np.log(np.minimum(law.rates(structure) / law.shares(structure) * _KEPT, _LARGEST_DROP)),
        first=nothing,
        season=law.seasons(),
        owned=law.mask_tables(),
        segment=law.segment_table(),
        tenure=law.tenure_table(),
        age=law.age_table(),
        channel=law.channel_table(),
        income=law.income_slopes(),
        loading=law.first_loadings(),
    )
    spec = PanelSpec(customers=_CUSTOMERS, seed=_SEED, structure=structure)
    laws = laws._replace(first=_first(spec, laws))
    walk = Walk(spec, laws, people(spec, np.arange(spec.customers)))
    season = np.exp(structure * laws.season[(spec.start + 1) % 12])
    at_first = walk.chances(walk.effects()).mean(axis=0)
    laws = laws._replace(base=laws.base + np.log(law.rates(structure) * season / at_first))
    for _ in range(_PASSES):
        laws, change = _closer(spec, laws)
        if change < _ENOUGH:
            break
    return laws


def _first(spec: PanelSpec, laws: Laws) -> Matrix:
    """(24,) log odds at which first portfolios have the wanted shares, by bisection."""
    walk = Walk(spec, laws, people(spec, np.arange(spec.customers)))
    effects = walk.first_effects(np.arange(spec.customers))
    low, high = np.full(law.N, -40.0), np.full(law.N, 20.0)
    for _ in range(40):
        middle = (low + high) / 2
        share = (1 / (1 + np.exp(-(middle + effects)))).mean(axis=0)
        above = share > law.shares(spec.structure)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _closer(spec: PanelSpec, laws: Laws) -> tuple[Laws, float]:
    """Walks the population and moves each intercept by how far the panel's sums are from the wanted ones; also tells
    the largest move of a product's chance."""
    walk = Walk(spec, laws, people(spec, np.arange(spec.customers)))
    taken, dropped, owned, pairs = np.zeros(law.N), np.zeros(law.N), np.zeros(law.N), 0
    for _ in range(spec.months - 1):
        chances = walk.chances(walk.effects())
        taken += chances.sum(axis=0)
        dropped += walk.drops().sum(axis=0)
        owned += unpacked(walk.masks[-1][walk.rows]).sum(axis=0)
        pairs += len(walk.rows)
        walk.forward(chances)
    wanted, share = law.rates(spec.structure) * pairs, law.shares(spec.structure)
    moved = np.log(wanted / taken)
    closer = laws._replace(
        first=laws.first + np.log((share * pairs + 1) / (owned + 1)) / (1 - share),
        base=laws.base + moved,
        drop=np.minimum(laws.drop + np.log(_KEPT * wanted / np.maximum(dropped, 1e-9)), np.log(_LARGEST_DROP)),
    )
    return closer, float(np.abs(moved).max())
