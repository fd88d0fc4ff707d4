"""Panels over time in a picture: lines, stacks, bars and states, with limits and marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.dates
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .card import COLORS, FAINT, INK, Card
from .units import written

PALETTE = ("#5794F2", "#73BF69", "#F2CC0C", "#FF780A", "#B877D9", "#F2495C", "#37872D", "#8AB8FF", "#C4162A", "#A16A00")
MOST_NAMES = 9
INCHES_PER_NAME = 1.6
MOST_TICKS = 7
TICK_SECONDS = (60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400, *(86_400 * days for days in (2, 7, 14, 91, 730)))

Points = Sequence[tuple[float, float]]


def draw_lines(card: Card) -> None:
    """A time series panel."""
    custom, step = card.defaults["custom"], card.span.step(card.panel.get("interval"))
    series = card.series
    names = [one.name or card.panel["title"] for one in series][:MOST_NAMES]
    longest = max((len(name) for name in names), default=0)
    columns = max(1, int(card.inches[0] / max(INCHES_PER_NAME, 0.3 + 0.075 * longest)))
    axes = card.inner(0.66, 0.30 + 0.19 * max(1, math.ceil(len(names) / columns)))
    stacked, stepped = custom["stacking"]["mode"], custom["lineInterpolation"] == "stepAfter"
    floor = dict.fromkeys(sorted({at for one in series for at, _ in one.points}), 0.0)
    sums = dict.fromkeys(floor, 0.0)
    for one in series if stacked == "percent" else ():
        for at, value in one.points:
            sums[at] += value
    handles: list[Any] = []
    for n, one in enumerate(series):
        styles = card.styles(one.name)
        color = COLORS[styles["color"]["fixedColor"]] if "color" in styles else PALETTE[n % len(PALETTE)]
        points: Points = one.points
        if stacked != "none":
            points = _stacked(axes, points, floor, sums if stacked == "percent" else None, color, stepped)
        if custom["drawStyle"] == "bars":
            least = (card.span.end - card.span.begin) / 240
            width = max(step * 0.85 / len(series), least) / 86_400
            where = [at + (n - (len(series) - 1) / 2) * width for at in _days(points)]
            axes.bar(where, [value for _, value in points], width=width, color=color)
            handles.append(Patch(color=color))
            continue
        whole = _with_holes(points, 3 * step)
        (line,) = axes.plot(
            _days(whole),
            [value for _, value in whole],
            "--" if "custom.lineStyle" in styles else "-",
            color=color,
            linewidth=0.75 * styles.get("custom.lineWidth", 1.6),
            drawstyle="steps-post" if stepped else "default",
        )
        if len(points) < 12:
            axes.plot(_days(points), [value for _, value in points], ".", color=color, markersize=4)
        handles.append(line)
    _scales(axes, card, "percentunit" if stacked == "percent" else card.defaults["unit"], stacked == "percent")
    for mark, moments in card.marks:
        for at in _days([(at, 0.0) for at in moments]):
            axes.axvline(at, color=COLORS[mark["iconColor"]], linewidth=1.0, linestyle=":")
    if not series:
        card.empty()
    card.axes.legend(
        handles[: len(names)],
        names,
        loc="lower left",
        ncols=columns,
        fontsize=7.5,
        frameon=False,
        handlelength=1.1,
        columnspacing=1.2,
        labelcolor=INK,
        borderaxespad=0.3,
    )


def draw_states(card: Card) -> None:
    """A state timeline: a row for each series, a colour for each value."""
    series = card.series
    names = card.defaults["mappings"][0]["options"]
    axes = card.inner(0.25 + 0.075 * max([len(one.name) for one in series] or [5]), 0.5)
    width = card.span.step() / 86_400 * 1.02
    for row, one in enumerate(series):
        colors = [COLORS[names.get(f"{value:g}", {"color": "transparent"})["color"]] for _, value in one.points]
        axes.barh([row] * len(colors), width, left=_days(one.points), height=0.75, color=colors)
    _scales(axes, card, "none", False)
    axes.set(ylim=(max(len(series), 3) - 0.4, -0.6), yticks=range(len(series)))
    axes.set_yticklabels([one.name for one in series], color=INK)
    axes.grid(visible=False)
    patches = [Patch(color=COLORS[told["color"]]) for told in names.values()]
    card.axes.legend(
        patches,
        [told["text"] for told in names.values()],
        loc="lower left",
        ncols=3,
        fontsize=7.5,
        frameon=False,
        handlelength=1.1,
        labelcolor=INK,
        borderaxespad=0.3,
    )


def _stacked(
    axes: Axes, points: Points, floor: dict[float, float], sums: dict[float, float] | None, color: str, stepped: bool
) -> list[tuple[float, float]]:
    """Puts a series on top of `floor`, which it raises; with `sums`, as shares. The upper edge."""
    if sums is not None:
        points = [(at, value / sums[at]) for at, value in points if sums[at]]
    low = [floor[at] for at, _ in points]
    high = [below + value for below, (_, value) in zip(low, points, strict=True)]
    floor.update(zip((at for at, _ in points), high, strict=True))
    axes.fill_between(_days(points), low, high, color=color, alpha=0.45, linewidth=0, step="post" if stepped else None)
    return list(zip((at for at, _ in points), high, strict=True))


def _scales(axes: Axes, card: Card, unit: str, percent: bool) -> None:
    defaults, span = card.defaults, card.span
    axes.set_xlim(span.begin / 86_400, span.end / 86_400)
    low, high = axes.get_ylim()
    top = axes.dataLim.y1  # minus infinity when nothing was drawn
    high = 1.0 if top <= 0 else max(high, top * 1.08)
    for step in defaults["thresholds"]["steps"] if card.panel["type"] == "timeseries" else ():
        if step.get("value") is not None and step["value"] <= 4 * high:
            axes.axhline(step["value"], color=COLORS[step["color"]], linewidth=0.9, linestyle=(0, (5, 4)))
            high = max(high, step["value"] * 1.1)
    low = defaults["min"] if defaults.get("min") is not None else low
    axes.set_ylim(low, 1.0 if percent else defaults.get("max") or high)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit, None)))
    every = next(step for step in TICK_SECONDS if (span.end - span.begin) / step <= MOST_TICKS)
    first = math.ceil(span.begin / every)
    axes.set_xticks([n * every / 86_400 for n in range(first, int(span.end / every) + 1)])
    form = "%m-%d" if every >= 86_400 else "%H:%M"
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter(form))
    axes.tick_params(labelsize=7.5, colors=FAINT, length=0)
    axes.grid(color="#E6E8EB", linewidth=0.6)
    axes.set_axisbelow(True)


def _days(points: Iterable[tuple[float, float]]) -> list[float]:
    """The times of points as matplotlib counts them."""
    return [at / 86_400 for at, _ in points]


def _with_holes(points: Points, gap: float) -> list[tuple[float, float]]:
    """The points with a hole where some are missing, so that no line bridges it."""
    whole: list[tuple[float, float]] = []
    for at, value in points:
        if whole and at - whole[-1][0] > gap:
            whole.append((at - 1e-3, math.nan))
        whole.append((at, value))
    return whole
