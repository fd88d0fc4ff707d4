"""The quality benchmark's numbers as a document (plain values) and as tables (texts)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.quality_protocol import TABLES, Judged
from benchmarks.results import Table
from vitrina.evaluation.report import Scores
from vitrina.evaluation.report import Table as Measured
from vitrina.events.splits import Window

METRICS: Final = ("ndcg@10", "recall@10", "precision@10", "map@10", "hr@10", "hr@100", "coverage@10", "novelty@10")
COMPARED: Final = ("ndcg@10", "recall@10")
BRIEF: Final = ("ndcg@10", "recall@10", "hr@10", "hr@100")
BEGIN: Final = "<!-- results: written by the benchmark -->"
END: Final = "<!-- end of results -->"
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
        tables += [_models(section), _differences(section, document["ours"])]
    return [*tables, _settings(document)]


def summary_of(document: Mapping[str, Any]) -> str:
    """The sections in brief, as Markdown for docs/quality.md."""
    tuning, test = (", ".join(document["windows"][part]) for part in ("tuning", "test"))
    made = f"Measured {document['machine']['date']} by `{document['command']}` (code: {document['code']})"
    size = f"{document['events']:,} events of {document['users']:,} users and {document['items']:,} items"
    lines = [f"{made} on {size}. Tuning windows: {tuning}. Test windows: {test}.", ""]
    for section in document["sections"]:
        rows = []
        for name, row in section["models"].items():
            against = section["ours_minus"].get(name)
            cells = [_text(row[metric]) for metric in BRIEF]
            cells += ["", ""] if against is None else [_difference(against[metric]) for metric in COMPARED]
            rows.append((name, *cells))
        note = f"{section['users']} users, {section['cases']} cases."
        columns = ("model", *BRIEF, *(f"ours minus it, {metric}" for metric in COMPARED))
        title = _title(section["title"])
        lines.append(Table(title=title, columns=columns, rows=tuple(rows), notes=(note,)).markdown())
    lines += [f"* {note}" for note in document["notes"]]
    return "\n".join(lines).replace("\n## ", "\n### ") + "\n"


def refresh(page: Path, document: Mapping[str, Any]) -> None:
    """Puts the summary between the two markers of a page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    page.write_text(f"{head}{BEGIN}\n\n{summary_of(document)}\n{END}{tail}", encoding="utf-8")


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


def _differences(section: Mapping[str, Any], ours: str) -> Table:
    rows = []
    for rival, found in section["ours_minus"].items():
        rows.append((rival, *(_difference(one) for one in found.values())))
    title = f"{ours} minus the others, {section['title']}"
    return Table(title=title, columns=("against", *COMPARED), rows=tuple(rows))


def _difference(found: Mapping[str, Any]) -> str:
    ends = "" if found["low"] is None else f" [{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"{found['mean']:+.4f}{ends} {_verdict(found)}"


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
    peer = dict(document["peer_settings"])
    tried = str(peer.pop("settings_tried"))
    rows.append(("RecTools", ", ".join(f"{key} {value}" for key, value in peer.items()), tried))
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
