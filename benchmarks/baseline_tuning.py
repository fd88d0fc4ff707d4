"""Light tuning of the baselines: the tuning windows in, the best setting of each baseline for each protocol out.

A coordinate search: each parameter in turn takes the best value of its short list; first the query's, then the model's,
then the query's again. The aim is NDCG@10, the geometric mean of repeats-allowed and new-items-only, for lists made at
the cut; for lists made the moment before a cart the query and the share of own items are tuned once more. That favours
the baselines: the two-stage recipe is the same in all tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.quality_protocol import Answer, AtCut, judge_cut, judge_next, pooled
from vitrina.candidates.als import ALS
from vitrina.candidates.ease import EASE
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.evaluation.baselines import FittedBaseline, Personal, Query
from vitrina.events.splits import Window
from vitrina.features.past import Past
from vitrina.features.shop import Shop

PROTOCOLS: Final = ("cut", "next")
FILE: Final = Path(__file__).parent / "baselines.json"
FOR_EVER: Final = 3650.0
MODELS: Final[dict[str, type[ItemKNN | RP3Beta | ALS | EASE]]] = {
    "item-kNN": ItemKNN,
    "RP3beta": RP3Beta,
    "ALS": ALS,
    "EASE": EASE,
}
QUERIES: Final[dict[str, tuple[Any, ...]]] = {
    "query.half_life": (FOR_EVER, 30.0, 14.0, 7.0, 3.0),
    "query.position_power": (0.0, 0.5, 1.0),
    "query.kind_weights": ((1.0, 1.0, 1.0), (1.0, 2.0, 2.0), (1.0, 3.0, 5.0)),
    "own": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
}
VALUES: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "item-kNN": {
        "model.user_discount": (0.25, 0.5, 0.75, 1.0),
        "model.damping": (0.0, 0.15, 0.3, 0.5),
        "model.keep": (50, 200),
    },
    "RP3beta": {
        "model.alpha": (0.3, 0.5, 0.8, 1.1),
        "model.beta": (0.0, 0.15, 0.3, 0.5),
        "model.keep": (50, 100, 200),
    },
    "ALS": {
        "model.factors": (32, 64, 128),
        "model.regularization": (0.05, 0.5, 5.0),
        "model.alpha": (0.5, 2.0, 8.0),
        "half_life": (20.0, 60.0, FOR_EVER),
    },
    "EASE": {"model.ridge": (3.0, 10.0, 30.0, 100.0), "model.user_discount": (0.0, 0.25, 0.5)},
}


@dataclass(frozen=True)
class Tuning:
    """What a search found: the spec, its aim on the tuning windows, and how many settings were tried."""

    spec: Personal
    aim: float
    tried: int


def tune(shop: Shop, windows: Sequence[Window], note: Callable[[str], None]) -> dict[str, dict[str, Tuning]]:
    """The best settings on these windows, by protocol and baseline."""
    found: dict[str, dict[str, Tuning]] = {protocol: {} for protocol in PROTOCOLS}
    for name, model in MODELS.items():
        start = Personal(model=model(), query=Query(half_life=FOR_EVER))
        note(f"tuning {name}")
        cut = search(start, [QUERIES, VALUES[name], QUERIES], Trials(shop, windows, "cut"), note)
        after = search(cut.spec, [QUERIES], Trials(shop, windows, "next"), note)
        found["cut"][name], found["next"][name] = cut, after
    return found


def search(
    start: Personal, rounds: Sequence[Mapping[str, tuple[Any, ...]]], trials: Trials, note: Callable[[str], None]
) -> Tuning:
    """The best setting that the rounds lead to."""
    best = start
    seen = {best: trials.aim(best)}
    for values in rounds:
        for parameter, choices in values.items():
            rivals = [with_value(best, parameter, value) for value in choices]
            for rival in rivals:
                if rival not in seen:
                    seen[rival] = trials.aim(rival)
            best = max([best, *rivals], key=lambda spec: seen[spec])
            note(f"{trials.protocol}: {parameter} {_value(best, parameter)}, aim {seen[best]:.4f}")
    return Tuning(best, seen[best], len(seen))


@dataclass
class Trials:
    """Judges specs; the models of the last (model, half_life) are kept, because queries are cheaper than fits."""

    shop: Shop
    windows: Sequence[Window]
    protocol: str
    pasts: dict[tuple[int, float], Past] = field(default_factory=dict)
    fitted: dict[int, FittedBaseline] = field(default_factory=dict)
    key: object = None

    def aim(self, spec: Personal) -> float:
        """Geometric mean of NDCG@10 with repeats and new only."""
        if self.key != (spec.model, spec.half_life):
            self.key, self.fitted = (spec.model, spec.half_life), {}
            for window in self.windows:
                self.fitted[window.start] = spec.fit(self.past(window.start, spec.half_life))

        def quiet(_: str) -> None: ...

        def top(cut: int) -> Answer:
            return replace(self.fitted[cut], query=spec.query, own=spec.own).top

        if self.protocol == "cut":
            judged = judge_cut({"it": AtCut(top, self.shop.histories)}, self.windows, self.shop, quiet)
        else:
            judged = pooled([judge_next({"it": top}, window, self.shop, quiet, per_user=3) for window in self.windows])
        ndcg = [judged[f"{self.protocol}/{task}"]["it"].mean("ndcg@10") for task in ("repeats", "new")]
        return float((ndcg[0] * ndcg[1]) ** 0.5)

    def past(self, cut: int, half_life: float) -> Past:
        """One object for each, because it remembers its interactions."""
        if (cut, half_life) not in self.pasts:
            self.pasts[cut, half_life] = replace(self.shop.past(cut), half_life=half_life)
        return self.pasts[cut, half_life]


def with_value(spec: Personal, parameter: str, value: Any) -> Personal:
    """The spec with one parameter changed; `model.keep` and `query.half_life` reach inside."""
    part, _, name = parameter.rpartition(".")
    if not part:
        return replace(spec, **{name: value})
    return replace(spec, **{part: replace(getattr(spec, part), **{name: value})})


def _value(spec: Personal, parameter: str) -> Any:
    value: Any = spec
    for name in parameter.split("."):
        value = getattr(value, name)
    return value


def save(found: dict[str, dict[str, Tuning]], path: Path = FILE) -> None:
    """Writes what `load` reads; by protocol and baseline."""
    plain = {
        protocol: {
            name: {**asdict(one.spec), "aim_on_tuning_windows": round(one.aim, 5), "settings_tried": one.tried}
            for name, one in by_name.items()
        }
        for protocol, by_name in found.items()
    }
    path.write_text(json.dumps(plain, indent=2) + "\n")


def load(path: Path = FILE) -> dict[str, dict[str, Personal]]:
    """The tuned specs by protocol and baseline."""
    return {
        protocol: {
            name: Personal(
                model=MODELS[name](**one["model"]),
                query=Query(**{**one["query"], "kind_weights": tuple(one["query"]["kind_weights"])}),
                own=one["own"],
                half_life=one["half_life"],
            )
            for name, one in by_name.items()
        }
        for protocol, by_name in json.loads(path.read_text()).items()
    }
