"""Draws a dashboard's JSON and what it asks for as a picture: same places, titles, units, colours and limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from PIL import Image

from .asking import Choice, Sources, Span
from .card import EDGE, FAINT, INK, PAPER, Card, value_and_color
from .charts import draw_lines, draw_states

COLUMN_INCHES, ROW_INCHES = 0.62, 0.30
DOTS_PER_INCH = 80
COLORS_KEPT = 200  # enough for lines and letters, at half of the bytes


def draw(told: Mapping[str, Any], sources: Sources, span: Span, choice: Choice, path: Path) -> None:
    """Writes one picture of a dashboard."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in told["panels"]) + 2
    figure = Figure(figsize=(24 * COLUMN_INCHES, height * ROW_INCHES), facecolor=PAPER)
    chosen = ",  ".join(f"{name}: {_listed(values)}" for name, values in choice.items())
    when = " to ".join(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (span.begin, span.end))
    figure.text(0.008, 1 - 1.0 / height, told["title"], fontsize=15, weight="bold", color=INK, va="center")
    figure.text(0.992, 1 - 1.0 / height, f"{chosen}    {when} UTC", fontsize=9, color=FAINT, va="center", ha="right")
    marks = [(mark, _moments(mark, sources, span, choice)) for mark in told["annotations"]["list"]]
    for panel in told["panels"]:
        place = panel["gridPos"]
        left, top = place["x"] / 24, 1 - (place["y"] + 2) / height
        if panel["type"] == "row":
            figure.text(0.008, top - 0.6 / height, panel["title"], fontsize=11, weight="bold", color=INK, va="center")
            continue
        box = (left + 0.004, top - (place["h"] - 0.2) / height, place["w"] / 24 - 0.008, (place["h"] - 0.4) / height)
        inches = (box[2] * 24 * COLUMN_INCHES, box[3] * height * ROW_INCHES)
        axes = figure.add_axes(box, facecolor="white")
        axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        axes.spines[:].set_color(EDGE)
        title = panel["title"]
        for name, values in choice.items():
            title = title.replace(f"${name}", _listed(values))
        axes.text(0.10 / inches[0], 1 - 0.16 / inches[1], title, fontsize=9, color=INK, va="center")
        found = sources.panel(panel, choice, span)
        DRAWERS[panel["type"]](Card(panel, found, figure, axes, box, inches, span, marks))
    figure.savefig(path, dpi=DOTS_PER_INCH)
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLORS_KEPT, dither=Image.Dither.NONE).save(path, optimize=True)


def _listed(values: str | Sequence[str]) -> str:
    if isinstance(values, str):
        return "All" if values else "none"
    return ", ".join(values)


def _moments(mark: Mapping[str, Any], sources: Sources, span: Span, choice: Choice) -> list[float]:
    """When an annotation begins: the first of each run of neighbouring points, or the times that the values are."""
    asked = {"targets": [{"expr": mark["expr"], "legendFormat": mark["titleFormat"]}]}
    step = span.step()
    begins: set[float] = set()
    for series in sources.panel(asked, choice, span)[0]:
        if mark["useValueForTime"]:
            begins |= {value / 1000 for _, value in series.points if span.begin <= value / 1000 <= span.end}
            continue
        times = [at for at, _ in series.points]
        begins |= {at for before, at in zip([-math.inf, *times], times, strict=False) if at - before > 1.5 * step}
    return sorted(begins)


def _draw_stat(card: Card) -> None:
    shown = []
    for one in card.series[:2]:
        text, color = value_and_color(one.points[-1][1], card.defaults)
        shown.append((one.name if card.panel["options"]["textMode"] == "name" else text, color))
    for n, (text, color) in enumerate(shown):
        size = min(22 / len(shown), 110 * card.inches[0] / max(len(text), 4) / 1.2)
        at = 0.42 + (len(shown) - 1) * 0.16 - n * 0.32
        card.axes.text(0.5, at, text, fontsize=size, color=color, ha="center", va="center", weight="bold")
    if not shown:
        card.empty()


def _draw_bars(card: Card) -> None:
    series = card.series
    if not series:
        card.empty()
        return
    axes = card.inner(min(2.6, 0.25 + 0.078 * max(len(one.name) for one in series)), 0.12, 0.85)
    values = [one.points[-1][1] for one in series]
    most = card.defaults.get("max") or max(values) or 1
    for place, (one, value) in enumerate(zip(series, values, strict=True)):
        text, color = value_and_color(value, card.defaults)
        axes.barh(place, most, color="#EEF0F3", height=0.7)
        axes.barh(place, min(value, most), color=color, height=0.7)
        axes.text(most * 1.03, place, text, va="center", fontsize=8, color=color, weight="bold")
        axes.text(-most * 0.03, place, one.name, va="center", ha="right", fontsize=8, color=INK)
    axes.set(xlim=(0, most), ylim=(max(len(series), 4) - 0.4, -0.6), xticks=[], yticks=[])


def _draw_table(card: Card) -> None:
    renamed = card.panel["transformations"][1]["options"]["renameByName"]
    keys = [name for name in renamed if not name.startswith("Value #")]
    columns = [name for name in renamed if name.startswith("Value #")]
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for column, query in zip(columns, card.found, strict=True):
        for one in (one for one in query if not math.isnan(one.points[-1][1])):
            rows.setdefault(tuple(one.labels.get(key, "") for key in keys), {})[column] = one.points[-1][1]
    for first in card.panel["options"].get("sortBy", ()):
        (column,) = (name for name in columns if renamed[name] == first["displayName"])
        rows = dict(sorted(rows.items(), key=lambda row: -row[1].get(column, -math.inf)))
    room = int((card.inches[1] - 0.6) / 0.215)
    axes = card.inner(0.1, 0.12)
    axes.set(xlim=(0, 1), ylim=(room + 0.6, -0.5), xticks=[], yticks=[])
    wide = 0.13 if len(keys) > 1 else 0.28
    rest = (1 - wide * len(keys)) / len(columns)
    ends = [wide * n for n in range(len(keys))] + [wide * len(keys) + rest * (n + 1) for n in range(len(columns))]
    for x, name in zip(ends, [*keys, *columns], strict=True):
        aside = "left" if name in keys else "right"
        axes.text(x, 0, renamed[name], fontsize=7.5, weight="bold", color=FAINT, ha=aside, va="center")
    for place, (key, values) in enumerate(list(rows.items())[:room], start=1):
        axes.axhline(place - 0.5, color="#E6E8EB", linewidth=0.6)
        for x, text in zip(ends, key, strict=False):
            axes.text(x, place, text, fontsize=7.5, color=INK, va="center")
        for x, column in zip(ends[len(keys) :], columns, strict=True):
            if column in values:
                text, color = _cell(values[column], card.styles(renamed[column]))
                axes.text(x, place, text, fontsize=7.5, color=color, ha="right", va="center")
    if len(rows) > room:
        card.axes.text(0.98, 0.015, f"and {len(rows) - room} more", fontsize=7, color=FAINT, ha="right")


def _cell(value: float, styles: Mapping[str, Any]) -> tuple[str, str]:
    steps = styles.get("thresholds", {"steps": [{"color": "green"}]})
    text, color = value_and_color(value, {**styles, "mappings": styles.get("mappings", ()), "thresholds": steps})
    return text, color if "custom.cellOptions" in styles else INK


DRAWERS: Final[Mapping[str, Callable[[Card], None]]] = {
    "stat": _draw_stat,
    "timeseries": draw_lines,
    "bargauge": _draw_bars,
    "state-timeline": draw_states,
    "table": _draw_table,
}
