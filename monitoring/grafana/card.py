"""The white card of one panel in a picture, and what all kinds of panels draw with: colours, values, margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .asking import Found, Span
from .units import written

COLORS = {
    "green": "#37872D",
    "blue": "#3274D9",
    "yellow": "#E0B400",
    "orange": "#FA6400",
    "red": "#E02F44",
    "dark-red": "#C4162A",
    "purple": "#A352CC",
    "transparent": "#EEF0F3",
}
INK, FAINT, PAPER, EDGE = "#24292E", "#6E7681", "#F4F5F7", "#D8DBE0"
TITLE_INCHES = 0.34


@dataclass(frozen=True)
class Card:
    """A panel's place in the figure (`box`: left, bottom, width, height as shares) and its size in inches."""

    panel: Mapping[str, Any]
    found: Sequence[Sequence[Found]]
    figure: Figure
    axes: Axes
    box: tuple[float, float, float, float]
    inches: tuple[float, float]
    span: Span
    marks: Sequence[tuple[Mapping[str, Any], Sequence[float]]]

    @property
    def defaults(self) -> Mapping[str, Any]:
        return dict(self.panel["fieldConfig"]["defaults"])

    @property
    def series(self) -> list[Found]:
        """The series of all queries with their values; what is no number is left out, and a series of nothing else."""
        told = (
            replace(one, points=tuple(point for point in one.points if not math.isnan(point[1])))
            for query in self.found
            for one in query
        )
        return [one for one in told if one.points]

    def inner(self, left: float, bottom: float, right: float = 0.12) -> Axes:
        """Axes below the title, with margins in inches."""
        (x, y, w, h), (wide, high) = self.box, self.inches
        share = (1 - (left + right) / wide, 1 - (bottom + TITLE_INCHES) / high)
        axes = self.figure.add_axes((x + w * left / wide, y + h * bottom / high, w * share[0], h * share[1]))
        axes.spines[:].set_visible(False)
        return axes

    def empty(self) -> None:
        """Says that there is nothing to show, as Grafana does."""
        text = self.defaults.get("noValue", "No data")
        self.axes.text(0.5, 0.42, text, fontsize=13, color=FAINT, ha="center", va="center")

    def styles(self, name: str) -> dict[str, Any]:
        """What the panel overrides for a series or a column of this name."""
        found: dict[str, Any] = {}
        for override in self.panel["fieldConfig"]["overrides"]:
            wanted = override["matcher"]["options"]
            by_name = override["matcher"]["id"] == "byName" and wanted == name
            if by_name or (override["matcher"]["id"] == "byRegexp" and wanted.strip("/") in name):
                found |= {one["id"]: one["value"] for one in override["properties"]}
        return found


def value_and_color(value: float, defaults: Mapping[str, Any]) -> tuple[str, str]:
    """A value as its panel writes it, and its colour."""
    for mapping in defaults.get("mappings", ()):
        told = mapping["options"].get(f"{value:g}")
        if told:
            return told["text"], COLORS[told["color"]]
    steps = defaults["thresholds"]["steps"]
    color = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]][-1]
    return written(value, defaults["unit"], defaults.get("decimals")), COLORS[color]
