"""The tables of the bank's quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.bank.quality import LAGGED, ORACLE, PLAIN, POPULAR, RECIPES, RIVALS, SHARE_TARGET, above, faults
from benchmarks.results import Table

_GAINS = (*(f"{LAGGED} - {rival}" for rival in RIVALS), f"{PLAIN} - {POPULAR}")


def tables(found: dict[str, Any]) -> list[Table]:
    """One of means and one of paired gains for each kind of panel."""
    customers, seeds = found["settings"]["customers"], found["settings"]["seeds"]
    worlds = f"{len(seeds)} generated panels of {customers:,} customers and 17 months; a model learns from 14 of them"
    together = found["structure"]["together"]["map"]
    gap = (together[LAGGED] - together[POPULAR]) / (together[ORACLE] - together[POPULAR])
    share = found["structure"]["together"]["share_of_oracle"][LAGGED]
    popular = found["structure"]["together"]["share_of_oracle"][POPULAR]
    verdict = "; ".join(faults(found)) or "everything that must hold does"
    reached = (
        f"Lags reach {share:.1%} of the oracle (target: {SHARE_TARGET:.0%}), popularity {popular:.1%}; of what lies "
        f"between the two lags close {gap:.0%}. In all: {verdict}."
    )
    made = [
        Table(
            title="Quality on generated panels",
            columns=("MAP@7 of all customers", ORACLE, *RECIPES, "lags / oracle"),
            rows=tuple(_means(name, one) for name, one in _worlds(found["structure"])),
            notes=(f"{worlds}, is calibrated on the next and judged on the one after.", reached),
        ),
        Table(
            title="Gains on generated panels",
            columns=("MAP@7, paired by customer", *_GAINS),
            rows=tuple(_gains(name, one) for name, one in _worlds(found["structure"])),
            notes=("Mean and 95 % interval; an interval above 0 is marked with +.",),
        ),
        Table(
            title="Without structure",
            columns=("MAP@7 of all customers", ORACLE, POPULAR, LAGGED, *_GAINS),
            rows=tuple(
                (name, *(f"{one['map'][of]:.5f}" for of in (ORACLE, POPULAR, LAGGED)), *_gains(name, one)[1:])
                for name, one in _worlds(found["no_structure"])
            ),
            notes=(
                "Panels in which each product is taken with one chance of its own: no model may gain on popularity.",
            ),
        ),
    ]
    if found["extract"] is not None:
        made.append(_extract(found["extract"]))
    return made


def _extract(found: dict[str, Any]) -> Table:
    about = (
        f"{found['customers']:,} of Santander's oldest customers, {found['rows']:,} rows; "
        f"{'; '.join(found['missing'])}. MAP@7 of all customers, each month judged by models of the months before it; "
        "together: the months pooled, paired by customer."
    )
    parts = [*found["months"].items(), ("together", found["together"])]
    return Table(
        title="Quality on the real extract of acquisitions",
        columns=("taken in", "customers", *RECIPES, *_GAINS),
        rows=tuple(
            (name, f"{one['customers']:,}", *(f"{one['map'][of]:.5f}" for of in RECIPES), *_gains(name, one)[1:])
            for name, one in parts
        ),
        notes=(about,),
    )


def _worlds(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [*((f"seed {one['seed']}", one) for one in found["worlds"]), ("together", found["together"])]


def _means(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (f"{one['map'][of]:.5f}" for of in (ORACLE, *RECIPES))
    return (name, *cells, f"{one['share_of_oracle'][LAGGED]:.3f}")


def _gains(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(interval(one["gains"][of]) for of in _GAINS))


def interval(gain: Mapping[str, float]) -> str:
    """A gain with its interval."""
    return f"{gain['mean']:+.5f} [{gain['low']:+.5f}, {gain['high']:+.5f}]{' +' if above(gain) else ''}"
