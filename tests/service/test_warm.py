"""`python -m app.warm`, which an image's build runs: afterwards a service finds its kernels compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from app.warm import tiny_companions, tiny_propensities
from vitrina.candidates.ease import EASE
from vitrina.events.baskets.baskets import Baskets
from vitrina.features import panel_history
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.ranking import multi_output_propensity, product_propensity
from vitrina.recommend import companions_desk, companions_model, companions_pass
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_fit import fit_item_item
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.recommend.stored import Packed
from vitrina.registry.model_format import write_model
from vitrina.serving.companions_state import CompanionsMaker
from vitrina.serving.propensity_state import PropensityMaker


@pytest.mark.slow
def test_what_is_warmed_is_found_again(tmp_path: Path) -> None:
    def warm() -> dict[str, int]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "generic"}
        subprocess.run([sys.executable, "-m", "app.warm"], check=True, env=environment)
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")}

    first = warm()
    shop = ("ranking_pass.rank_one", "retrieval.retrieve", "trees.score")
    bank = ("panel_history._fill", "product_propensity._log_odds", "multi_output_propensity._log_odds")
    basket = ("companions_pass.best", "companions_pass.best_companions", "companions_desk.blended")
    for kernel in (*shop, *bank, *basket):
        assert any(name.startswith(kernel) and name.endswith(".nbc") for name in first), kernel
    assert warm() == first, "a second process compiles nothing"


def test_one_compiled_version_serves_every_client(tmp_path: Path) -> None:
    def compiled() -> list[int]:
        kernels = (panel_history._fill, product_propensity._log_odds, multi_output_propensity._log_odds)
        return [len(kernel.signatures) for kernel in kernels]

    folders = [tmp_path / made.meta["kind"] for made in tiny_propensities()]
    for folder, made in zip(folders, tiny_propensities(), strict=True):
        write_model(folder, **made._asdict())
    models = [PropensityMaker().make(folder, version="1", copy="1", now=0, offline=False).model for folder in folders]
    before = compiled()
    assert min(before) > 0
    for document in (
        {},
        {"age": 35, "income": 1e5, "country_of_residence": "ES", "ind_1m_loans": 1},
        {"fetch_date": "28-05-2016", "registration_date": "01-02-2010", "history": []},
        {"fetch_date": "28-05-2016", "history": [{"fetch_date": "28-04-2016", "ind_1m_loans": 0}]},
    ):
        for model in models:
            inputs = client_inputs(read_client(document, default_month=model.as_of_month), model.encoding)
            assert model.probabilities(inputs).shape == (1, 24)
    assert compiled() == before, "a request would have waited for a compiler"


def test_one_compiled_version_serves_every_cart(tmp_path: Path, baskets_of: Callable[..., Baskets]) -> None:
    """Of models that have learned, too: those are of the same types as the tiny ones. Training may have `best` compiled
    for other scores than requests do: whether it must, depends on what numba's cache holds."""

    def compiled() -> list[int]:
        kernels = (companions_pass.best_companions, companions_desk._furnish, companions_desk.blended)
        return [len(kernel.signatures) for kernel in (*kernels, companions_pass.best)]

    def loaded(made: Packed, name: str) -> CompanionsModel:
        write_model(tmp_path / name, **made._asdict())
        return CompanionsMaker().make(tmp_path / name, version="1", copy="1", now=0, offline=False).model

    def ask(models: Iterable[CompanionsModel]) -> None:
        for model in models:
            for cart in ([], model.codes[:1], [*model.codes[:2], "odd"], model.codes):
                for customer in (None, "odd", *model.customers[:1]):
                    for n in (1, 7):
                        model.companions(cart, n, customer=customer, exclude=model.codes[2 : 2 + len(cart)])

    tiny = [loaded(made, str(place)) for place, made in enumerate(tiny_companions())]
    before = compiled()
    assert min(before) > 0
    ask(tiny)
    assert compiled() == before, "a request would have waited for a compiler"
    random = np.random.default_rng(5)
    rows = [[pair := 2 * int(random.integers(5)), pair + 1] for _ in range(600)]
    baskets = baskets_of(rows, items=10, customer=[place % 20 - 1 for place in range(600)])
    learned = [
        fit_item_item(EASE(), baskets, until=600),
        fit_blend(Blend(iterations=3), baskets, until=600, threads=1),
    ]
    after_training = compiled()
    assert after_training[:-1] == before[:-1], "what has learned is of other types than what was warmed up"
    ask(loaded(companions_model.packed(one), one.kind) for one in learned)
    assert compiled() == after_training, "a request would have waited for a compiler"
