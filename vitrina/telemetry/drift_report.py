"""The drift report as one HTML page that needs nothing beside it: the verdict, the worst features drawn, all in a
table."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from vitrina.telemetry.drift import FALSE_ALARMS, FLOOR, Drift, FeatureDrift

DRAWN: Final = 9
_READING: Final = (
    "PSI: population stability index over bins of the training's values. "
    f"Limit: {FLOOR}, or more where chance among so few visitors and the usual differences between weeks reach "
    f"further; on at most {FALSE_ALARMS:.0%} of the days without drift some feature passes its limit. "
    "Missing: share of rows without a value."
)
TRAINING_COLOUR: Final = "#2f6f8f"
LAST_DAY_COLOUR: Final = "#d1603d"

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #22303a; }
.verdict { font-size: 1.25rem; padding: .7rem 1rem; border-left: 6px solid #2f8f5b; background: #eef6f1; }
.verdict.drifted { border-color: #d1603d; background: #fbefea; }
.verdict.open { border-color: #8a949b; background: #f1f3f4; }
img { max-width: 100%; }
table { border-collapse: collapse; }
th, td { padding: .15rem .9rem .15rem 0; text-align: right; border-bottom: 1px solid #e3e7ea; }
th:first-child, td:first-child { text-align: left; }
tr.drifted td { color: #b3431f; font-weight: 600; }
"""


def page(drift: Drift, *, day: int, title: str) -> str:
    """The page's text. `day` (ms, UTC) is where the last day begins."""
    begin = datetime.fromtimestamp(day / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Drift: {escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><h1>Drift: {escape(title)}</h1>",
        f'<p class="verdict {_kind(drift)}">{escape(verdict(drift))}</p>',
        f"<p>The 24 hours from {begin}: {drift.visitors:,} visitors with a past.</p>",
    ]
    if drift.judged:
        parts.append(
            f"<p>Training: {drift.training_visitors:,} visitors of the same 24 hours of earlier weeks, with candidates "
            "from tables of the same age.</p>"
        )
        worst = drift.by_excess()
        drawn = base64.b64encode(histograms(worst[:DRAWN])).decode()
        parts += [
            f"<h2>The {min(DRAWN, len(worst))} nearest to their limits or over them</h2>",
            f'<img alt="Shares of training and last day in each bin" src="data:image/png;base64,{drawn}">',
            "<h2>All features</h2>",
            f"<p>{_READING}</p>",
            _table(worst),
        ]
    return "\n".join([*parts, "</body></html>"])


def verdict(drift: Drift) -> str:
    """What was found, in one sentence."""
    if not drift.judged:
        return f"Not judged: {drift.why}."
    if not drift.drifted:
        return f"No drift: all {len(drift.features)} features of the last day are within their limits."
    named = ", ".join(drift.drifted[:5]) + (", ..." if len(drift.drifted) > 5 else "")
    return f"Drift: {len(drift.drifted)} of {len(drift.features)} features are over their limits: {named}."


def histograms(features: Sequence[FeatureDrift]) -> bytes:
    """PNG: for each feature the shares of training and last day in its bins, side by side."""
    across = 3
    down = -(-len(features) // across)
    figure = Figure(figsize=(10.5, 2.7 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, one in zip(grid.flat, features, strict=False):
        used = [n for n in range(len(one.labels)) if one.training[n] > 0 or one.last_day[n] > 0]
        places = np.arange(len(used))
        axes.bar(places - 0.2, [one.training[n] for n in used], 0.4, color=TRAINING_COLOUR, label="training")
        axes.bar(places + 0.2, [one.last_day[n] for n in used], 0.4, color=LAST_DAY_COLOUR, label="last day")
        axes.set_xticks(places, [one.labels[n] for n in used], rotation=90, fontsize=7)
        axes.tick_params(axis="y", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"{one.name}\nPSI {one.psi:.2f}, limit {one.limit:.2f}", fontsize=9)
    for axes in list(grid.flat)[len(features) :]:
        axes.set_visible(False)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return drawn.getvalue()


def _table(features: Sequence[FeatureDrift]) -> str:
    rows = [
        f'<tr class="{"drifted" if one.drifted else "calm"}"><td>{escape(one.name)}</td>'
        f"<td>{one.psi:.3f}</td><td>{one.limit:.3f}</td><td>{one.psi / one.limit:.2f}</td>"
        f"<td>{one.missing_training:.1%}</td><td>{one.missing_last_day:.1%}</td></tr>"
        for one in features
    ]
    heads = ("feature", "PSI", "limit", "PSI / limit", "missing, training", "missing, last day")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _kind(drift: Drift) -> str:
    return "open" if not drift.judged else "drifted" if drift.drifted else "calm"
