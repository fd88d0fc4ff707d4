"""The dashboards' files: up to date, of Grafana's schema, in order, about metrics that exist, explained on a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana.board import FOLDER, Board
from grafana.boards import BOARDS
from grafana.checking import schema_faults, structure_faults

from vitrina.telemetry.names import SERVICE_NAMES
from vitrina.telemetry.pipeline_names import PIPELINE_NAMES

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "monitoring" / "grafana"
NAME = re.compile(r"\bvitrina_\w+")
EVERY = pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])

Break = Callable[[dict[str, Any]], object]


def provisioned() -> set[str]:
    told = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "vitrina.yaml").read_text())
    return {one["uid"] for one in told["datasources"]}


def panels(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(board.text())["panels"] if panel["type"] != "row"]


def questions(board: Board) -> list[str]:
    return [target.get("expr") or target["target"] for panel in panels(board) for target in panel["targets"]]


def test_the_files_are_what_the_python_says() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {board.path.name for board in BOARDS}
    stale = [board.path.name for board in BOARDS if board.path.read_text() != board.text()]
    assert stale == [], "run `python -m monitoring.grafana`"


@EVERY
def test_the_json_is_of_grafanas_schema(board: Board) -> None:
    assert schema_faults(board.text()) == []


@EVERY
def test_the_json_is_in_order(board: Board) -> None:
    assert structure_faults(board.text(), provisioned()) == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda told: told["panels"][1].update(colour="red"), "/panels/1/colour is unknown"),
        (lambda told: told["panels"][1]["options"].update(colorMode="rainbow"), "'rainbow' is none of"),
        (lambda told: told["panels"][1]["fieldConfig"]["defaults"].update(decimals="two"), "'two' is no number"),
        (lambda told: told["panels"][1].update(title=7), "7 is no str"),
        (lambda told: told["panels"][1].update(type="statt"), "panel type 'statt' is unknown"),
        (lambda told: told["panels"][1]["targets"][0].update(exprr="up"), "exprr is unknown"),
        (lambda told: told["templating"]["list"][0].update(type="querry"), "'querry' is none of"),
        (lambda told: told.update(refresh=30), "30 is no str"),
    ],
)
def test_a_fault_against_the_schema_is_found(damage: Break, fault: str) -> None:
    told = json.loads(BOARDS[0].text())
    damage(told)
    assert any(fault in found for found in schema_faults(json.dumps(told)))


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda told: told["panels"][2].update(id=1), "id 1 is used twice"),
        (lambda told: told["panels"][2]["gridPos"].update(x=1), "Alerts and Replicas up overlap"),
        (lambda told: told["panels"][8]["gridPos"].update(x=22), "sticks out"),
        (lambda told: told["panels"][1]["datasource"].update(uid="other"), "datasource 'other' is not provisioned"),
        (lambda told: told["panels"][1].update(targets=[]), "Alerts: asks nothing"),
        (lambda told: told["panels"][1]["targets"][0].update(expr="up{a=~'$nobody'}"), "'nobody' is not declared"),
        (lambda told: told["templating"]["list"][0].update(name="unused"), "variable 'unused' is never used"),
        (lambda told: told["panels"][1].update(description=""), "Alerts: has no description"),
    ],
)
def test_a_fault_of_order_is_found(damage: Break, fault: str) -> None:
    told = json.loads(BOARDS[0].text())
    damage(told)
    assert any(fault in found for found in structure_faults(json.dumps(told), provisioned()))


def test_every_metric_that_is_asked_for_exists_and_every_metric_is_shown() -> None:
    exist = {name.name for name in (*SERVICE_NAMES, *PIPELINE_NAMES)}
    asked = {
        re.sub("_(bucket|sum|count)$", "", found) for b in BOARDS for one in questions(b) for found in NAME.findall(one)
    }
    assert asked - exist == set()
    assert exist - asked == set()


@EVERY
def test_every_panel_says_what_is_normal_and_leads_to_its_page(board: Board) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "monitor.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for panel in panels(board):
        (link,) = panel["links"]
        assert link["url"].partition("#")[2] in anchors, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len(panel["description"]) > 20, panel["title"]


def test_titles_and_uids_are_used_once() -> None:
    boards = [json.loads(board.text()) for board in BOARDS]
    assert len({one["uid"] for one in boards}) == len({one["title"] for one in boards}) == len(boards)
    for board in BOARDS:
        titles = [panel["title"] for panel in panels(board)]
        assert len(titles) == len(set(titles)), board.name


def test_the_provider_reads_the_folder_that_the_datasources_stand_beside() -> None:
    told = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "vitrina.yaml").read_text())
    assert [one["options"]["path"] for one in told["providers"]] == ["/etc/grafana/dashboards"]
    assert provisioned() == {"prometheus", "graphite"}
