"""The bank's first steps: which months can be learned from, and faults told in the caller's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vitrina.errors import ConfigError, DataError
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.pipeline import run_step, train
from vitrina.scenarios import Run
from vitrina.scenarios.bank_panel import Split, last_whole_month
from vitrina.scenarios.bank_products import SCENARIO

RunAt = Callable[..., Run]


def test_a_panel_of_one_month_says_what_is_missing(tmp_path: Path, run_at: RunAt) -> None:
    generate_panel(PanelSpec(customers=50, months=2), tmp_path / "raw", as_raw_csv=True)
    file = tmp_path / "raw" / "train_ver2.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *(line for line in lines if line.startswith("2015-01"))]) + "\n")
    run = replace(run_at(tmp_path / "home", data=str(file)), scenario=SCENARIO.name)
    with pytest.raises(DataError, match="Give more months") as raised:
        train(SCENARIO, run)
    assert raised.value.where == str(file)
    assert run.local("validated") and not run.objects.exists(run.key("prepared"))


def test_faults_and_options_are_told_in_the_callers_words(tmp_path: Path, run_at: RunAt) -> None:
    generate_panel(PanelSpec(customers=30, months=4), tmp_path / "raw", as_raw_csv=True)
    file = tmp_path / "raw" / "train_ver2.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], lines[4].replace("2015-01-28", "2015-13-28"), *lines[5:]]) + "\n")
    for given in (file, file.parent):
        run = replace(run_at(tmp_path / "home", data=str(given)), scenario=SCENARIO.name)
        with pytest.raises(DataError) as raised:
            train(SCENARIO, run)
        assert raised.value.where.startswith(f"{file}, row 5")
    with pytest.raises(ConfigError, match="--columns"):
        run_step(SCENARIO.steps[0], replace(run, columns="user=id"))
    with pytest.raises(ConfigError, match="--data PATH"):
        run_step(SCENARIO.steps[0], replace(run, data=None))
    with pytest.raises(DataError, match="Check --data"):
        run_step(SCENARIO.steps[0], replace(run, data=str(tmp_path / "nowhere")))


def test_a_split_names_its_months() -> None:
    split = Split(as_of_month=110, labelled=(100, 101, 105, 109))
    assert (split.training, split.validation, split.test, split.judges) == (101, 105, 109, True)
    assert not Split(as_of_month=110, labelled=(108, 109)).judges


def test_a_month_counts_when_it_is_over() -> None:
    september = 1_441_065_600_000  # 2015-09-01
    assert last_whole_month(september) == 2015 * 12 + 7
    assert last_whole_month(september - 1) == 2015 * 12 + 6
