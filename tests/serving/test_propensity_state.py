"""The bank's champion: followed as the storefront's is, from copies of its own, and refused when it cannot answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import wait

from vitrina.events.panels.columns import PRODUCTS
from vitrina.serving.copies import Copies
from vitrina.serving.propensity_state import PropensityMaker, PropensityState, month_end
from vitrina.serving.served import Served
from vitrina.serving.watcher import Watcher

MAY_2016 = 2016 * 12 + 4
END_OF_MAY = 1_464_739_200_000  # 2016-06-01T00:00Z


@dataclass
class Bank:
    """A registry with a bank's champion, beside a storefront's on the same host."""

    stage: Any
    registry: Any
    served: Served[PropensityState]

    def write(self, version: str, probability: float = 0.25) -> Path:
        folder: Path = toy(self.stage).write_bank(self.stage.root / "bank" / version, probability)
        return folder

    def watcher(self, served: Served[PropensityState] | None = None) -> Watcher[PropensityState]:
        return Watcher(
            scenario="bank",
            served=served or self.served,
            source=self.registry,
            maker=PropensityMaker(),
            copies=Copies(self.stage.root / "serving" / "bank"),
            metrics=self.stage.counted.products("bank", [product.column for product in PRODUCTS]),
            clock=lambda: END_OF_MAY + 1,
            every=0.02,
        )

    def swaps(self, outcome: str, what: str = "model") -> float | None:
        labels = {"scenario": "bank", "what": what, "outcome": outcome}
        value: float | None = self.stage.counted.registry.get_sample_value("vitrina_swaps_total", labels)
        return value


def toy(stage):
    return sys.modules[type(stage).__module__]


@pytest.fixture
def bank(stage) -> Bank:
    found = Bank(stage, toy(stage).MemoryRegistry(), Served())
    found.registry.publish("1", found.write("1"))
    return found


def asked(state: PropensityState) -> float:
    """The probability that the model has for a client who owns nothing."""
    from vitrina.features.panel_client import client_inputs, read_client

    inputs = client_inputs(read_client({}, default_month=state.model.as_of_month), state.model.encoding)
    (probability,) = np.unique(state.model.probabilities(inputs))
    return float(probability)


@pytest.mark.parametrize(
    ("month", "end"), [(MAY_2016, END_OF_MAY), (2015 * 12 + 11, 1_451_606_400_000), (1970 * 12, 2_678_400_000)]
)
def test_a_month_ends_when_the_next_one_begins(month: int, end: int) -> None:
    assert month_end(month) == end


def test_the_champion_is_served_and_swapped(bank: Bank) -> None:
    watcher = bank.watcher()
    watcher.look()
    state = bank.served.state
    assert (state.version, state.as_of, state.loaded_at) == ("1", END_OF_MAY, END_OF_MAY + 1)
    assert (asked(state), state.model.kind, str(state)) == (0.25, "constant", "model 1")
    watcher.look()
    assert bank.served.state is state, "nothing new, nothing swapped"
    bank.registry.publish("2", bank.write("2", 0.75))
    watcher.look()
    assert (bank.served.state.version, asked(bank.served.state)) == ("2", 0.75)
    assert bank.swaps("done") == 2
    told = bank.stage.counted.registry.get_sample_value
    assert told("vitrina_model_as_of_timestamp_seconds", {"scenario": "bank"}) == END_OF_MAY / 1000
    assert told("vitrina_model_info", {"scenario": "bank", "version": "2"}) == 1
    assert told("vitrina_lists_as_of_timestamp_seconds", {"scenario": "bank"}) is None, "a bank has no lists"


def test_a_broken_model_is_refused(bank: Bank) -> None:
    watcher = bank.watcher()
    watcher.look()
    bad = bank.write("2")
    content = bytearray((bad / "arrays" / "rates.npy").read_bytes())
    content[-1] ^= 1
    (bad / "arrays" / "rates.npy").write_bytes(content)
    bank.registry.publish("2", bad)
    watcher.look()
    assert (bank.served.state.version, bank.swaps("refused")) == ("1", 1)


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_model_that_foretells_no_probabilities_is_refused(bank: Bank, probability: float) -> None:
    watcher = bank.watcher()
    watcher.look()
    bank.registry.publish("2", bank.write("2", probability))
    watcher.look()
    assert (bank.served.state.version, bank.swaps("refused")) == ("1", 1)


def test_a_model_of_the_storefront_is_refused(bank: Bank) -> None:
    bank.registry.publish("7", toy(bank.stage).write_toy(bank.stage.root / "made" / "7"))
    bank.watcher().look()
    assert (bank.served.state, bank.swaps("refused")) == (None, 1)


def test_copies_of_the_scenarios_do_not_meet(bank: Bank) -> None:
    """Both registries count from 1, and a run may have both."""
    shop, watcher = bank.stage.watcher(), bank.watcher()
    for look in (shop.look, watcher.look):
        look()
    bank.stage.registry.down = bank.registry.down = True
    again, bank_again = Served(), Served()
    for started in (bank.stage.watcher(served=again), bank.watcher(bank_again)):
        started.start()
        started.stop()
    assert (again.state.version, len(again.state.items)) == ("1", 20)
    assert (bank_again.state.version, asked(bank_again.state)) == ("1", 0.25)
    root = bank.stage.root / "serving"
    assert [path.name for path in (root / "models").iterdir()] == ["1-run"]
    assert [path.name for path in (root / "bank" / "models").iterdir()] == ["1-run"]


def test_what_nobody_expected_at_the_start_ends_neither_the_start_nor_the_watching(bank: Bank) -> None:
    champion, looks = bank.registry.champion, []

    def odd() -> Any:
        looks.append(1)
        if len(looks) == 1:
            raise ZeroDivisionError("planted")
        return champion()

    bank.registry.champion = odd
    watcher = bank.watcher()
    watcher.start()
    wait(lambda: bank.served.state is not None, pause=0.01)
    watcher.stop()
    assert bank.served.state.version == "1"
    assert bank.swaps("failed", "watcher") == 1
