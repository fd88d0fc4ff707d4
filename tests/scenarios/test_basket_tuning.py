"""The search of settings asks for what the grids hold, within its number of trials, and keeps the best."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import ConfigError
from vitrina.evaluation.basket_tuning import GRIDS
from vitrina.evaluation.report import Scores
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.splits import BasketSplit
from vitrina.scenarios import Run
from vitrina.scenarios.basket_judgement import METRIC
from vitrina.scenarios.basket_recipes import KNOWN, Recipe
from vitrina.scenarios.basket_tuning import BLEND, BLENDS, on_validation, tuned

PLANTED: dict[str, dict[str, Any]] = {
    "ease": {"ridge": 300.0, "user_discount": 0.5},
    "item2vec": {"likeness": "cosine", "sharpness": 20.0, "contexts": 2},
    "blend": {"iterations": 400, "depth": 8},
}
"""What is best, by the laws of `lawful`."""

Asked = list[Recipe]


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    """An even product goes with the odd one after it; there are few of each, beside many that mean nothing."""
    random = np.random.default_rng(5)
    pairs = 2 * random.integers(0, 30, 300)
    return baskets_of([[even, even + 1, *random.integers(0, 60, 6).tolist()] for even in pairs.tolist()], items=60)


@pytest.fixture
def split(baskets: Baskets) -> BasketSplit:
    return BasketSplit.of(baskets)


@pytest.fixture
def run(tmp_path: Path, run_at: Callable[..., Run]) -> Run:
    return replace(run_at(tmp_path), scenario="basket")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Every recipe that is judged; what it is worth is the share of the planted settings that it has."""
    seen: Asked = []

    def lawful(self: Recipe, cases: Any, *_: Any, **__: Any) -> Scores:
        seen.append(self)
        planted = PLANTED[self.name].items()
        share = sum(asdict(self.spec)[name] == value for name, value in planted) / len(planted)  # type: ignore[call-overload]
        values = {metric: np.full(len(cases), share) for metric in ("hr@10", METRIC)}
        return Scores(values=values, clusters=cases.clusters)

    monkeypatch.setattr(Recipe, "worth", lawful)
    return seen


@pytest.mark.parametrize("name", ["ease", "item2vec"])
def test_with_enough_trials_every_value_of_every_stage_is_asked(
    run: Run, baskets: Baskets, split: BasketSplit, asked: Asked, name: str
) -> None:
    found = tuned(replace(run, tune=1_000), {name: KNOWN[name]}, baskets, split)[name]
    asked_specs = {one.spec for one in asked}
    assert asked[0] == KNOWN[name] and len(asked_specs) == len(asked)
    for stage in GRIDS[name]:
        tried = {tuple(asdict(one.spec)[key] for key in stage) for one in asked}  # type: ignore[call-overload]
        assert set(product(*stage.values())) <= tried
    assert asdict(found.spec).items() >= PLANTED[name].items()  # type: ignore[call-overload]


def test_few_trials_are_spread_over_the_stages(run: Run, baskets: Baskets, split: BasketSplit, asked: Asked) -> None:
    told: list[tuple[str, int, int]] = []
    shown = replace(run, tune=10, progress=lambda what, done, of: told.append((what, done, of)))
    tuned(shown, {"ease": KNOWN["ease"]}, baskets, split)
    assert len({one.spec for one in asked}) == len(asked) == 10
    assert max(one.as_json()["ridge"] for one in asked) >= 10
    assert any(one.as_json()["half_life"] not in (None, 180.0) for one in asked)
    assert told == [("settings of ease", done, 10) for done in range(10)]
    notes = [note for note in run.facts["notes"] if "trial" in note]
    assert notes[0].startswith("ease, trial 1 of 10, as it was: ndcg@10 0.0000")
    assert notes[9].startswith("ease, trial 10 of 10, ") and "half_life=" in notes[9]


def test_the_blend_is_tried_with_a_handful_of_its_settings(
    run: Run, baskets: Baskets, split: BasketSplit, asked: Asked
) -> None:
    best = tuned(replace(run, tune=50), {"blend": KNOWN["blend"]}, baskets, split)["blend"]
    assert asked[0] == KNOWN["blend"] and len({one.spec for one in asked}) == len(asked) == BLENDS
    for stage in BLEND:
        assert stage.keys() <= asdict(KNOWN["blend"].spec).keys()  # type: ignore[call-overload]
        assert any(any(one.as_json()[key] != asked[0].as_json()[key] for key in stage) for one in asked)
    assert best in asked and best != asked[0]


def test_a_source_is_fitted_with_what_is_found(run: Run, baskets: Baskets, split: BasketSplit) -> None:
    one = {"ease": KNOWN["ease"]}
    before = on_validation(run, one, baskets, split)["ease"]
    found = tuned(replace(run, tune=60), one, baskets, split)
    assert on_validation(run, found, baskets, split)["ease"] > before
    assert tuned(run, one, baskets, split) == found, "later trainings use it"
    kept = json.loads(run.objects.get_bytes(run.key("tuned.json")))
    assert kept == {"ease": found["ease"].as_json()}


def test_who_asks_for_what_cannot_be_searched_is_told(run: Run, baskets: Baskets, split: BasketSplit) -> None:
    nothing = {"popular": replace(KNOWN["popular"], name="untuned")}
    with pytest.raises(ConfigError, match="nothing is searched"):
        tuned(replace(run, tune=1), nothing, baskets, split)
