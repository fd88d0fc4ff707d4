"""Asks what a dashboard asks, as Grafana would: variables filled in, Prometheus and Graphite over HTTP."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPECIAL = re.compile(r"([\\^$.*+?()\[\]{}|])")

Choice = Mapping[str, str | Sequence[str]]
"""What each variable stands for: its chosen values, or a text: that for All, or what was written by hand."""


@dataclass(frozen=True)
class Found:
    """One series: its name as the panel shows it, its labels, and (seconds since the epoch, value)."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Span:
    """A time span in seconds since the epoch; `steps` is how many points a chart has room for."""

    begin: float
    end: float
    steps: int = 240
    scrape_seconds: float = 10

    def step(self, least: str | None = None) -> float:
        """Seconds between two points, at least the scrape interval and the panel's own interval."""
        return max((self.end - self.begin) / self.steps, self.scrape_seconds, seconds(least) if least else 0)


@dataclass(frozen=True)
class Sources:
    """Addresses of Prometheus and graphite-web."""

    prometheus: str
    graphite: str

    def values(self, variable: Mapping[str, Any], choice: Choice, span: Span) -> list[str]:
        """The values that a query variable offers, sorted."""
        query = fill(variable["query"]["query"], choice, span)
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        assert found is not None, f"no label_values: {query}"
        asked = {"match[]": found[1], "start": span.begin, "end": span.end}
        return list(self._ask(f"{self.prometheus}/api/v1/label/{found[2]}/values", asked)["data"])

    def choice(self, told: Mapping[str, Any], span: Span, **chosen: Sequence[str]) -> dict[str, str | Sequence[str]]:
        """What a dashboard's variables stand for when it is opened with these choices: where All is offered, all."""
        found: dict[str, str | Sequence[str]] = {}
        for variable in told["templating"]["list"]:
            name = variable["name"]
            if name in chosen:
                found[name] = chosen[name]
            elif variable["type"] == "textbox":
                found[name] = variable["query"]
            elif not variable["includeAll"]:
                found[name] = [variable["current"]["value"]]
            else:
                found[name] = variable.get("allValue") or self.values(variable, found, span)
        return found

    def panel(self, panel: Mapping[str, Any], choice: Choice, span: Span) -> list[list[Found]]:
        """The series of each of a panel's queries."""
        return [self._target(one, panel, choice, span) for one in panel["targets"]]

    def _target(self, target: Mapping[str, Any], panel: Mapping[str, Any], choice: Choice, span: Span) -> list[Found]:
        if "target" in target:
            return self.graphite_series(fill(target["target"], choice, span, graphite=True), span)
        step = span.step(panel.get("interval"))
        query = fill(target["expr"], choice, span, step=step)
        if target.get("instant"):
            found = self.series(query, {"time": span.end})
        else:
            found = self.series(query, {"start": span.begin, "end": span.end, "step": step})
        return [Found(_name(target.get("legendFormat"), one.labels), one.labels, one.points) for one in found]

    def series(self, query: str, when: Mapping[str, float]) -> list[Found]:
        """A PromQL expression at a `time`, or from `start` to `end` by `step` (seconds)."""
        what = "query" if "time" in when else "query_range"
        data = self._ask(f"{self.prometheus}/api/v1/{what}", {"query": query, **when})["data"]
        if data["resultType"] == "scalar":
            return [Found("", {}, (_point(data["result"]),))]
        return [
            Found("", one["metric"], tuple(map(_point, one.get("values") or [one["value"]]))) for one in data["result"]
        ]

    def graphite_series(self, target: str, span: Span) -> list[Found]:
        """A Graphite target, without its empty points."""
        asked = {"target": target, "from": int(span.begin), "until": int(span.end), "format": "json"}
        return [
            Found(one["target"], {}, tuple((ts, value) for value, ts in one["datapoints"] if value is not None))
            for one in self._ask(f"{self.graphite}/render", asked)
        ]

    def _ask(self, url: str, parameters: Mapping[str, object]) -> Any:
        body = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{url}?{body}", timeout=30) as answer:
            return json.load(answer)


def fill(text: str, choice: Choice, span: Span, *, step: float | None = None, graphite: bool = False) -> str:
    """A query with its variables filled in: several values are a regular expression in PromQL, braces in Graphite."""
    own = span.step() if step is None else step
    known = {
        "__rate_interval": f"{max(own + span.scrape_seconds, 4 * span.scrape_seconds):.0f}s",
        "__interval": f"{own:.0f}s",
    }
    for name, values in choice.items():
        if isinstance(values, str):
            known[name] = values
        elif graphite:
            known[name] = values[0] if len(values) == 1 else f"{{{','.join(values)}}}"
        else:
            escaped = [SPECIAL.sub(r"\\\\\1", value) for value in values]
            known[name] = escaped[0] if len(values) == 1 else f"({'|'.join(escaped)})"
    return re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda found: known.get(found[1] or found[2], found[0]), text)


def seconds(interval: str) -> float:
    """Grafana's way to write a time: `30s`, `5m`, `1d`."""
    return float(interval[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[interval[-1]]


def _name(legend: str | None, labels: Mapping[str, str]) -> str:
    if legend is None:
        return ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__")
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _point(told: Sequence[Any]) -> tuple[float, float]:
    return float(told[0]), float(told[1])
