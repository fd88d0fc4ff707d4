"""The quality benchmark's numbers as a document (plain values) and as tables (texts)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.quality_protocol import TABLES, Judged
from benchmarks.results import Table
from vitrina.evaluation.report import Scores
from vitrina.evaluation.report import Table as Measured
from vitrina.events.splits import Window

METRICS: Final = ("ndcg@10", "recall@10", "precision@10", "map@10", "hr@10", "hr@100", "coverage@10", "novelty@10")
COMPARED: Final = ("ndcg@10", "recall@10")
TITLES: Final = {
    "cut/repeats": "at the cut, repeats allowed",
    "cut/new": "at the cut, new items only",
    "next/repeats": "sequential next cart, repeats allowed",
    "next/new": "sequential next cart, new items only",
}


def sections_of(sets: Mapping[str, Judged], ours: str) -> list[dict[str, Any]]:
    """One section per set of windows and table: all models with intervals, ours minus each rival, paired by user."""
    sections = []
    for pool, judged in sets.items():
        for name in TABLES:
            scores = judged[name]
            measured = Measured.of(f"{pool}: {TITLES[name]}", scores, METRICS).as_json()
            rivals = {rival: _against(scores[ours], found) for rival, found in scores.items() if rival != ours}
            sections.append({"windows": pool, "table": name, **measured, "ours_minus": rivals})
    return sections


def _against(ours: Scores, rival: Scores) -> dict[str, Any]:
    return {metric: ours.minus(rival, metric).as_json() for metric in COMPARED}


def tables_of(document: Mapping[str, Any]) -> list[Table]:
    """All sections, each as a table of the models and one of the differences."""
    tables = []
    for section in document["sections"]:
        tables += [_models(section), _differences(section, document)]
    return [*tables, _settings(document)]


def span(window: Window) -> str:
    """The days of a window; the second is the last one inside."""
    first, last = (datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d") for ts in (window.start, window.end - 1))
    return f"{first} .. {last}"


def _models(section: Mapping[str, Any]) -> Table:
    models: Mapping[str, Mapping[str, Any]] = section["models"]
    best = {metric: max(_number(row[metric]) for row in models.values()) for metric in METRICS}

    def cell(metric: str, value: Any) -> str:
        leads = isinstance(value, dict) and _number(value) == best[metric]
        return f"**{_text(value)}**" if leads else _text(value)

    rows = tuple((name, *(cell(metric, row[metric]) for metric in METRICS)) for name, row in models.items())
    note = f"{section['users']} users, {section['cases']} cases; mean ± half of the 95 % interval, users drawn again."
    return Table(title=_title(section["title"]), columns=("model", *METRICS), rows=rows, notes=(note,))


def _differences(section: Mapping[str, Any], document: Mapping[str, Any]) -> Table:
    rows = []
    for rival, found in section["ours_minus"].items():
        cells = [f"{d['mean']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}] {_verdict(d)}" for d in found.values()]
        rows.append((rival, *cells))
    title = f"{document['ours']} minus the others, {section['title']}"
    return Table(title=title, columns=("against", *COMPARED), rows=tuple(rows))


def _verdict(difference: Mapping[str, float | None]) -> str:
    low, high = difference["low"], difference["high"]
    if low is not None and low > 0:
        return "above"
    if high is not None and high < 0:
        return "below"
    return "not told apart"


def _settings(document: Mapping[str, Any]) -> Table:
    rows = []
    for protocol, by_name in document["baselines"].items():
        for name, one in by_name.items():
            query = {f"query {key}": value for key, value in one["query"].items()}
            inside = {**one["model"], **query, "own": one["own"], "half_life": one["half_life"]}
            values = ", ".join(f"{key} {_plain(value)}" for key, value in inside.items())
            rows.append((f"{name} ({protocol})", values, str(one["settings_tried"])))
    rows.append(("RecTools", ", ".join(f"{key} {value}" for key, value in document["peer_settings"].items()), ""))
    title = "Settings of the baselines, chosen on the tuning windows"
    notes = tuple(document["notes"])
    return Table(title=title, columns=("baseline", "settings", "tried"), rows=tuple(rows), notes=notes)


def _plain(value: Any) -> str:
    return "/".join(f"{one:g}" for one in value) if isinstance(value, list) else f"{value:g}"


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: Any) -> float:
    return float(value["mean"]) if isinstance(value, dict) else float(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        half = "" if value["low"] is None else f" ± {(value['high'] - value['low']) / 2:.4f}"
        return f"{value['mean']:.4f}{half}"
    return f"{value:.4g}"
