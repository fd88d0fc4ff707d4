"""Draws a dashboard's JSON and what it asks for as a picture: same places, titles, units, colours and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .asking import Choice, Found, Sources, Span
from .units import written

PALETTE = ("#5794F2", "#73BF69", "#F2CC0C", "#FF780A", "#B877D9", "#F2495C", "#37872D", "#8AB8FF", "#C4162A", "#A16A00")
COLORS = {
    "green": "#37872D",
    "blue": "#3274D9",
    "yellow": "#E0B400",
    "orange": "#FA6400",
    "red": "#E02F44",
    "dark-red": "#C4162A",
    "transparent": "#EEF0F3",
}
INK, FAINT, PAPER = "#24292E", "#6E7681", "#F4F5F7"
UNIT_INCHES = 0.62  # a column of the grid
ROW_INCHES = 0.30
MOST_NAMES = 8


def draw(told: Mapping[str, Any], sources: Sources, span: Span, choice: Choice, path: Path) -> None:
    """Writes one picture of a dashboard."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in told["panels"]) + 2
    figure = Figure(figsize=(24 * UNIT_INCHES, height * ROW_INCHES), facecolor=PAPER)
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
        card = figure.add_axes(box, facecolor="white")
        card.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        card.spines[:].set_color("#D8DBE0")
        title = panel["title"]
        for name, values in choice.items():
            title = title.replace(f"${name}", _listed(values))
        inches = (box[2] * 24 * UNIT_INCHES, box[3] * height * ROW_INCHES)
        card.text(0.10 / inches[0], 1 - 0.15 / inches[1], title, fontsize=9, weight="medium", color=INK, va="center")
        found = sources.panel(panel, choice, span)
        DRAWERS[panel["type"]](panel, found, card, figure, (*box, *inches), span, marks)
    figure.savefig(path, dpi=64, pil_kwargs={"optimize": True})
    _quantised(path)


def _quantised(path: Path) -> None:
    """Few colours are enough for lines and letters, and a third of the bytes."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)


def _listed(values: str | Sequence[str]) -> str:
    return "All" if isinstance(values, str) else ", ".join(values)


def _moments(mark: Mapping[str, Any], sources: Sources, span: Span, choice: Choice) -> list[float]:
    """When an annotation begins: the first of each run of neighbouring points."""
    asked = {"type": "timeseries", "targets": [{"expr": mark["expr"], "legendFormat": mark["titleFormat"]}]}
    step = span.step()
    begins = set()
    for series in sources.panel(asked, choice, span)[0]:
        times = [at for at, _ in series.points]
        begins |= {at for before, at in zip([-math.inf, *times], times, strict=False) if at - before > 1.5 * step}
    return sorted(begins)


def _inner(figure: Figure, box: Sequence[float], left: float, bottom: float, right: float = 0.12) -> Axes:
    """Axes inside a card, with margins in inches below its title."""
    x, y, w, h, wide, high = box
    return figure.add_axes(
        (x + w * left / wide, y + h * bottom / high, w * (1 - (left + right) / wide), h * (1 - (bottom + 0.34) / high))
    )


def _stat(panel: Any, found: Any, card: Axes, figure: Figure, box: Any, span: Span, marks: Any) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    series = [one for one in found[0] if not math.isnan(one.points[-1][1])]
    if not series:
        card.text(0.5, 0.42, defaults.get("noValue", "No data"), fontsize=14, color=FAINT, ha="center", va="center")
        return
    lines = []
    for one in series[:3]:
        value = one.points[-1][1]
        text, color = _value(value, defaults)
        lines.append((one.name if panel["options"]["textMode"] == "name" else text, color))
    for n, (text, color) in enumerate(lines):
        at = 0.42 + (len(lines) - 1) * 0.14 - n * 0.28
        size = min(24 if len(lines) == 1 else 14, 21 * box[4] / max(len(text), 5) * 4.6)
        card.text(0.5, at, text, fontsize=size, color=color, ha="center", va="center", weight="bold")


def _value(value: float, defaults: Mapping[str, Any]) -> tuple[str, str]:
    """A value as its panel writes it, and its colour."""
    for mapping in defaults.get("mappings", ()):
        told = mapping["options"].get(f"{value:g}")
        if told:
            return told["text"], COLORS[told["color"]]
    steps = defaults["thresholds"]["steps"]
    color = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]][-1]
    return written(value, defaults["unit"], defaults.get("decimals")), COLORS[color]


def _lines(panel: Any, found: Any, card: Axes, figure: Figure, box: Any, span: Span, marks: Any) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom, unit = defaults["custom"], defaults["unit"]
    series: list[Found] = [one for query in found for one in query if one.points]
    named = series[:MOST_NAMES] if len(series) > MOST_NAMES else series
    rows = math.ceil(len(named) / max(1, round(box[4] / 1.75)))
    axes = _inner(figure, box, 0.62, 0.30 + 0.19 * max(rows, 1))
    colors, dashed = _overrides(panel)
    stacked = custom["stacking"]["mode"]
    step = span.step(panel.get("interval"))
    times = sorted({at for one in series for at, _ in one.points})
    floor = dict.fromkeys(times, 0.0)
    sums = {at: sum(dict(one.points).get(at, 0.0) for one in series) for at in times} if stacked == "percent" else {}
    stepped = custom["lineInterpolation"] == "stepAfter"
    handles: list[Any] = []
    for n, one in enumerate(series):
        color = colors.get(one.name, PALETTE[n % len(PALETTE)])
        style = "--" if one.name in dashed else "-"
        points = [(at, value) for at, value in one.points if not math.isnan(value)]
        if stacked != "none":
            points = [(at, value / sums[at] if sums.get(at) else value) for at, value in points if not sums or sums[at]]
            base = [floor[at] for at, _ in points]
            top = [low + value for low, (_, value) in zip(base, points, strict=True)]
            floor.update(zip((at for at, _ in points), top, strict=True))
            where = _dates(at for at, _ in points)
            axes.fill_between(where, base, top, color=color, alpha=0.45, linewidth=0, step="post" if stepped else None)
            points = list(zip((at for at, _ in points), top, strict=True))
        if custom["drawStyle"] == "bars":
            width = step / 86_400 * 0.8 / max(len(series), 1)
            where = [at + (n - (len(series) - 1) / 2) * width for at in _dates(at for at, _ in points)]
            axes.bar(where, [value for _, value in points], width=width, color=color)
            handles.append(axes.bar([], [], color=color))
            continue
        broken = _broken(points, 3 * step)
        kind = "steps-post" if stepped else "default"
        (line,) = axes.plot(
            _dates(at for at, _ in broken), [v for _, v in broken], style, color=color, linewidth=1.3, drawstyle=kind
        )
        if len(points) < 40:
            axes.plot(_dates(at for at, _ in points), [v for _, v in points], ".", color=color, markersize=3)
        handles.append(line)
    _scales(axes, panel, span, unit if stacked != "percent" else "percentunit", 1.0 if stacked == "percent" else None)
    for mark, moments in marks:
        for at in moments:
            axes.axvline(_dates([at])[0], color=COLORS[mark["iconColor"]], linewidth=0.9, linestyle=":")
    if not series:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color=FAINT)
    names = [one.name or panel["title"] for one in named]
    card.legend(
        *(handles[: len(named)], names),
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=max(1, math.ceil(len(named) / max(rows, 1))),
        fontsize=7.5,
        frameon=False,
        handlelength=1.1,
        columnspacing=1.2,
        labelcolor=INK,
        borderaxespad=0.3,
    )


def _overrides(panel: Mapping[str, Any]) -> tuple[dict[str, str], set[str]]:
    colors, dashed = {}, set()
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            if one["id"] == "color":
                colors[override["matcher"]["options"]] = COLORS[one["value"]["fixedColor"]]
            elif one["id"] == "custom.lineStyle":
                dashed.add(override["matcher"]["options"])
    return colors, dashed


def _scales(axes: Axes, panel: Mapping[str, Any], span: Span, unit: str, most: float | None) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_xlim(*_dates([span.begin, span.end]))
    low, high = axes.get_ylim()
    for step in defaults["thresholds"]["steps"]:
        if step.get("value") is not None and (step["value"] <= 3 * high or high == 1):
            axes.axhline(step["value"], color=COLORS[step["color"]], linewidth=0.9, linestyle=(0, (5, 4)))
            high = max(high, step["value"] * 1.1)
    low = defaults["min"] if defaults.get("min") is not None else low
    most = most if most is not None else defaults.get("max")
    axes.set_ylim(low, (most if most is not None else high) or 1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit, None)))
    locator = matplotlib.dates.AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    days = span.end - span.begin > 3 * 86_400
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%m-%d" if days else "%H:%M"))
    axes.tick_params(labelsize=7.5, colors=FAINT, length=0)
    axes.grid(color="#E6E8EB", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _dates(times: Any) -> list[float]:
    return [at / 86_400 for at in times]


def _broken(points: Sequence[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """The points with a hole where some are missing, so that no line bridges it."""
    whole: list[tuple[float, float]] = []
    for at, value in points:
        if whole and at - whole[-1][0] > gap:
            whole.append((at - 1e-3, math.nan))
        whole.append((at, value))
    return whole


def _bars(panel: Any, found: Any, card: Axes, figure: Figure, box: Any, span: Span, marks: Any) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    series = [one for one in found[0] if not math.isnan(one.points[-1][1])]
    if not series:
        card.text(0.5, 0.45, "No data", color=FAINT, ha="center")
        return
    axes = _inner(figure, box, min(2.1, 0.25 + 0.075 * max(len(one.name) for one in series)), 0.12, 0.75)
    values = [one.points[-1][1] for one in series]
    most = defaults.get("max") or max(values) or 1
    for place, (one, value) in enumerate(zip(series, values, strict=True)):
        text, color = _value(value, defaults)
        axes.barh(place, most, color="#EEF0F3", height=0.7)
        axes.barh(place, min(value, most), color=color, height=0.7)
        axes.text(most * 1.03, place, text, va="center", fontsize=8, color=color, weight="bold")
        axes.text(-most * 0.03, place, one.name, va="center", ha="right", fontsize=8, color=INK)
    axes.set(xlim=(0, most), ylim=(len(series) - 0.4, -0.6), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _states(panel: Any, found: Any, card: Axes, figure: Figure, box: Any, span: Span, marks: Any) -> None:
    series = [one for query in found for one in query]
    names = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    axes = _inner(figure, box, 0.2 + 0.075 * max([len(one.name) for one in series] or [5]), 0.5)
    step = span.step()
    for row, one in enumerate(series):
        for at, value in one.points:
            told = names.get(f"{value:g}", {"color": "transparent"})
            axes.barh(row, step / 86_400 * 1.02, left=at / 86_400, height=0.75, color=COLORS[told["color"]])
    _scales(axes, {"fieldConfig": {"defaults": {"thresholds": {"steps": []}}}}, span, "none", None)
    axes.set(ylim=(len(series) - 0.4, -0.6), yticks=range(len(series)))
    axes.set_yticklabels([one.name for one in series], color=INK)
    axes.grid(visible=False)
    for n, told in enumerate(names.values()):
        card.text(0.03 + n * 0.2, 0.05, "■ ", color=COLORS[told["color"]], fontsize=9, va="center")
        card.text(0.03 + n * 0.2 + 0.035, 0.05, told["text"], color=INK, fontsize=7.5, va="center")


def _table(panel: Any, found: Any, card: Axes, figure: Figure, box: Any, span: Span, marks: Any) -> None:
    renamed = panel["transformations"][1]["options"]["renameByName"]
    keys = [name for name in renamed if not name.startswith("Value #")]
    columns = [name for name in renamed if name.startswith("Value #")]
    of_column = {one["matcher"]["options"]: one["properties"] for one in panel["fieldConfig"]["overrides"]}
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for column, query in zip(columns, found, strict=True):
        for one in query:
            rows.setdefault(tuple(one.labels.get(key, "") for key in keys), {})[column] = one.points[-1][1]
    axes = _inner(figure, box, 0.1, 0.08)
    axes.set(xlim=(0, 1), ylim=(max(len(rows), 1) + 0.7, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    wide = 0.17 if len(columns) > 4 else 0.28
    rest = (1 - wide * len(keys)) / len(columns)
    ends = [wide * n for n in range(len(keys))] + [wide * len(keys) + rest * (n + 1) for n in range(len(columns))]
    for x, name in zip(ends, [*keys, *columns], strict=True):
        aside = "left" if name in keys else "right"
        axes.text(x, 0, renamed[name], fontsize=8, weight="bold", color=FAINT, ha=aside, va="center")
    for place, (key, values) in enumerate(rows.items(), start=1):
        axes.axhline(place - 0.5, color="#E6E8EB", linewidth=0.6)
        for x, text in zip(ends, key, strict=False):
            axes.text(x, place, text, fontsize=8, color=INK, va="center")
        for x, column in zip(ends[len(keys) :], columns, strict=True):
            if column in values:
                text, color = _cell(values[column], {one["id"]: one["value"] for one in of_column[renamed[column]]})
                axes.text(x, place, text, fontsize=8, color=color, ha="right", va="center")


def _cell(value: float, properties: Mapping[str, Any]) -> tuple[str, str]:
    steps = properties.get("thresholds", {"steps": []})["steps"]
    defaults = {
        "unit": properties["unit"],
        "mappings": properties.get("mappings", ()),
        "thresholds": {"steps": steps or [{"color": "green"}]},
    }
    text, color = _value(value, defaults)
    return text, color if "custom.cellOptions" in properties else INK


DRAWERS = {
    "stat": _stat,
    "timeseries": _lines,
    "bargauge": _bars,
    "state-timeline": _states,
    "table": _table,
}
