"""docs/monitor.md tells of every metric of the name table, with its very labels, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vitrina.telemetry.names import SERVICE_NAMES, MetricName
from vitrina.telemetry.pipeline_names import PIPELINE_NAMES

PAGE = Path(__file__).parents[2] / "docs" / "monitor.md"
NAME = re.compile(r"`(vitrina_[a-z_]+)(?:\{([a-z_,]+)\})?`")


def rows(section: str) -> list[list[str]]:
    """Cells of the rows of the first table under a head."""
    found = PAGE.read_text(encoding="utf-8").split(f"\n### {section}\n", 1)[1]
    table = re.split(r"\n#+ ", found, maxsplit=1)[0].split("\n| metric |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize(
    ("section", "names"), [("Service", SERVICE_NAMES), ("Pipeline", PIPELINE_NAMES)], ids=["service", "pipeline"]
)
def test_every_metric_has_its_row(section: str, names: tuple[MetricName, ...]) -> None:
    told: list[str] = []
    for metrics, *explained in rows(section):
        assert len(explained) == 3 and all(explained), f"{metrics}: what it is, what is normal, what else"
        found = NAME.findall(metrics)
        told += [name for name, _ in found]
        given = {label for _, labels in found for label in labels.split(",") if label}
        wanted = {label for name in names if name.name in dict(found) for label in name.labels}
        assert given <= wanted and (section == "Pipeline" or given == wanted), metrics
    assert sorted(told) == sorted(name.name for name in names)


def test_links_of_the_tables_lead_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)
    }
    asked = {link for section in ("Service", "Pipeline") for row in rows(section) for link in links(row)}
    assert asked <= heads


def links(row: list[str]) -> list[str]:
    return re.findall(r"\]\(#([a-z0-9-]+)\)", " ".join(row))
