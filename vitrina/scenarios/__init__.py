"""The scenarios: an explicit list. Each is one file that declares its steps; nothing is imported before it is asked
for."""

from __future__ import annotations

import importlib

from vitrina.errors import ConfigError
from vitrina.scenarios.scenario import Run, Scenario, Step

SCENARIOS: dict[str, str] = {
    "storefront": "vitrina.scenarios.storefront",
    "bank_products": "vitrina.scenarios.bank_products",
    "basket": "vitrina.scenarios.basket",
}
"""Module of each scenario; it holds a `SCENARIO`."""

__all__ = ["SCENARIOS", "Run", "Scenario", "Step", "scenario"]


def scenario(name: str) -> Scenario:
    """The declaration of one scenario; `ConfigError` for an unknown name."""
    if name not in SCENARIOS:
        raise ConfigError(f"there is no scenario {name!r}. Known are: {', '.join(SCENARIOS)}")
    found: Scenario = importlib.import_module(SCENARIOS[name]).SCENARIO
    return found
