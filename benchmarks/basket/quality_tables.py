"""The tables of the companions' quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.basket.quality import BLEND, COMPARED, DRAWS, HIDDEN_HALF, HIDDEN_ONE, above, faults
from benchmarks.results import Table

_NAMES = {name: name.upper() for name in HIDDEN_ONE} | {HIDDEN_HALF: "half: Recall@10"}
_ERROR = " Of carts that fill, what the blend says of ten companions and what comes are {error:.4f} apart."
_PAIRED = "Paired by basket, mean and 95 % interval, drawn again by customer; an interval above 0 is marked with +."


def tables(found: Mapping[str, Any]) -> list[Table]:
    """One of means, and one of the blend's gains where it was measured."""
    data = found["data"]
    about = (
        f"{data['told']}: {data['learned'] + data['chosen']:,} baskets are learned from, settings were chosen on the "
        f"last {data['chosen']:,} of them, {data['judged']:,} are judged; all "
        f"{data['products']:,} products but those in the cart are ranked. One product hidden, drawn {DRAWS} times; "
        "half: of half a basket the other half."
    )
    made = [
        Table(
            title="Quality of companions",
            columns=("model", *(_NAMES[metric] for metric in (*HIDDEN_ONE, HIDDEN_HALF))),
            rows=tuple(_means(name, one) for name, one in found["models"].items()),
            notes=(about,),
        )
    ]
    if "gains" in found:
        verdict = "; ".join(faults(found)) or "the blend, told whose cart it is, is above every other model"
        error = "" if found["calibration"] is None else _ERROR.format(**found["calibration"])
        made.append(
            Table(
                title="Gains of the blend",
                columns=(f"{BLEND} minus", *(_NAMES[metric] for metric in COMPARED)),
                rows=tuple(
                    (name, *(interval(gains[metric]) for metric in COMPARED)) for name, gains in found["gains"].items()
                ),
                notes=(f"{_PAIRED} By HR@10 and NDCG@10: {verdict}.{error}",),
            )
        )
    return made


def _means(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(f"{one[metric]['mean']:.4f}" for metric in (*HIDDEN_ONE, HIDDEN_HALF)))


def interval(gain: Mapping[str, float]) -> str:
    """A gain with its interval."""
    return f"{gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]{' +' if above(gain) else ''}"
