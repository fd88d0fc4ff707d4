"""The declaration is the vocabulary of CLI, DAG and dashboards: pinned names, sound wiring, nothing heavy behind it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

from vitrina.errors import ConfigError
from vitrina.registry.mlflow_registry import code_file
from vitrina.scenarios import SCENARIOS, scenario
from vitrina.scenarios.storefront import SCENARIO

HEAVY = ("numpy", "ibis", "mlflow", "duckdb", "numba", "catboost", "pyarrow", "implicit", "scipy", "pandas", "optuna")


def test_names_are_pinned() -> None:
    assert (SCENARIO.name, SCENARIO.experiment, SCENARIO.registered_model) == (
        "storefront",
        "pr_final_#2",
        "ranking_model",
    )
    assert [step.name for step in SCENARIO.steps] == [
        "extract", "validate", "prepare", "candidates", "ranker", "evaluate", "drift", "register", "promote", "publish",
    ]  # fmt: skip
    assert scenario("storefront") is SCENARIO
    assert SCENARIO.step("ranker") is SCENARIO.steps[4]


def test_names_of_the_bank_are_pinned() -> None:
    bank = scenario("bank_products")
    assert bank.experiment == bank.registered_model == bank.name == "bank_products"
    assert [step.name for step in bank.steps] == [
        "extract", "validate", "prepare", "propensity", "evaluate", "register", "promote",
    ]  # fmt: skip
    assert bank.setting("EXPERIMENT", {"VITRINA_BANK_EXPERIMENT": "e", "VITRINA_EXPERIMENT": "f"}) == "e"
    assert SCENARIO.setting("EXPERIMENT", {"VITRINA_BANK_EXPERIMENT": "e"}) is None
    assert bank.setting("EXPERIMENT", {"VITRINA_BANK_EXPERIMENT": ""}) is None


def test_unknown_names_tell_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="storefront"):
        scenario("shopfront")
    with pytest.raises(ConfigError, match="extract, validate"):
        SCENARIO.step("extrakt")


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_input_is_an_earlier_output_and_every_function_exists(name: str) -> None:
    made: set[str] = set()
    for step in scenario(name).steps:
        assert set(step.inputs) <= made, step.name
        made |= set(step.outputs)
        module, _, function = step.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_verb_has_its_function_or_says_where_to_go(name: str) -> None:
    declared = scenario(name)
    for verb in declared.verbs:
        assert callable(declared.verb(verb))
    with pytest.raises(ConfigError, match=rf"{name} has no `sing`\. ?{re.escape(declared.instead)}"):
        declared.verb("sing")
    assert code_file(declared.pyfunc).is_file()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_declaration_imports_nothing_heavy(name: str) -> None:
    code = (
        f"import sys; from vitrina.scenarios import scenario; scenario({name!r});"
        f"print([module for module in {HEAVY!r} if module in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
