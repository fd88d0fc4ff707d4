"""What is wrong with a dashboard's JSON: against the types of Grafana's SDK, and against what only a reader would see.

The SDK drops keys that it does not know and takes any value for any type, so both are checked here: what is decoded
must encode to the same JSON, and every value must have the type that its class states.
"""

from __future__ import annotations

import enum
import json
import re
import types
import typing
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.runtime import Runtime
from grafana_foundation_sdk.models import dashboard as model

from .board import WIDTH

# What Grafana's Prometheus datasource reads of an annotation beyond the SDK's class.
OF_MARKS = {"titleFormat", "textFormat", "step", "useValueForTime"}
OF_GRAFANA = {"__rate_interval", "__interval", "__range", "__from", "__to"}
VARIABLE = re.compile(r"\$\{?(\w+)")


def schema_faults(text: str) -> list[str]:
    """Keys that Grafana does not know, and values of the wrong type."""
    plugins.register_default_plugins()
    told = json.loads(text)
    for mark in told["annotations"]["list"]:
        for key in OF_MARKS & mark.keys():
            del mark[key]
    faults = [f"panel type {panel['type']!r} is unknown" for panel in _panels(told) if not _known(panel["type"])]
    decoded = model.Dashboard.from_json(told)
    encoded = json.loads(json.dumps(decoded, cls=JSONEncoder))
    faults += _differences(told, encoded, "")
    return faults + list(_wrong(decoded, model.Dashboard, ""))


def structure_faults(text: str, datasources: set[str]) -> list[str]:
    """Ids used twice, panels that overlap or stick out, unknown datasources and variables, panels that ask nothing."""
    told = json.loads(text)
    everything = told["panels"]
    faults = []
    ids = [panel["id"] for panel in everything]
    faults += [f"id {one} is used twice" for one in sorted({one for one in ids if ids.count(one) > 1})]
    for panel in everything:
        place = panel["gridPos"]
        if place["w"] < 1 or place["h"] < 1 or place["x"] < 0 or place["x"] + place["w"] > WIDTH:
            faults.append(f"{panel['title']}: sticks out of the grid")
    for one, other in combinations(everything, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            faults.append(f"{one['title']} and {other['title']} overlap")
    for panel in _panels(told):
        asked = [target.get("expr") or target.get("target") for target in panel.get("targets", [])]
        if not asked or not all(asked):
            faults.append(f"{panel['title']}: asks nothing")
        if not panel.get("description"):
            faults.append(f"{panel['title']}: has no description")
        if len({target["refId"] for target in panel.get("targets", [])}) != len(asked):
            faults.append(f"{panel['title']}: a refId is used twice")
    named = {reference["uid"] for reference in _values(told, "datasource")}
    faults += [f"datasource {uid!r} is not provisioned" for uid in sorted(named - datasources)]
    declared = {variable["name"] for variable in told["templating"]["list"]}
    texts = [target.get("expr") or target.get("target", "") for panel in _panels(told) for target in panel["targets"]]
    texts += [panel["title"] for panel in _panels(told)]
    texts += [variable["query"]["query"] for variable in told["templating"]["list"] if variable["type"] == "query"]
    texts += [mark["expr"] for mark in told["annotations"]["list"]]
    used = {name for one in texts for name in VARIABLE.findall(one)} - OF_GRAFANA
    faults += [f"variable {name!r} is not declared" for name in sorted(used - declared)]
    faults += [f"variable {name!r} is never used" for name in sorted(declared - used)]
    return faults


def _panels(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in told["panels"] if panel["type"] != "row"]


def _known(kind: str) -> bool:
    return Runtime().panelcfg_config(kind) is not None


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def _values(told: Any, key: str) -> Iterator[Any]:
    """Every value that stands under a key, at any depth."""
    if isinstance(told, dict):
        for name, value in told.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(told, list):
        for value in told:
            yield from _values(value, key)


def _differences(told: Any, encoded: Any, path: str) -> list[str]:
    """Keys that decoding lost; what it added are defaults, which are Grafana's own."""
    if isinstance(told, dict) and isinstance(encoded, dict):
        lost = [f"{path}/{key} is unknown" for key in told if key not in encoded]
        both = (_differences(told[key], encoded[key], f"{path}/{key}") for key in told if key in encoded)
        return lost + [fault for faults in both for fault in faults]
    if isinstance(told, list) and isinstance(encoded, list):
        pairs = zip(told, encoded, strict=True)
        return [fault for n, (a, b) in enumerate(pairs) for fault in _differences(a, b, f"{path}/{n}")]
    return [] if told == encoded else [f"{path}: {told!r} becomes {encoded!r}"]


def _wrong(value: Any, hint: Any, path: str) -> Iterator[str]:
    """Values that are not of the stated type, down to the last field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        kept = type(value)
        if kept.__module__.startswith("grafana_foundation_sdk"):  # a panel's options, a query
            yield from _wrong(value, kept, path)
    elif origin in (typing.Union, types.UnionType):
        if all(next(_wrong(value, one, path), None) for one in arguments):
            faults = [list(_wrong(value, one, path)) for one in arguments if one is not type(None)]
            yield from min(faults, key=len)
    elif origin is list:
        yield from [] if isinstance(value, list) else [f"{path}: {value!r} is no list"]
        for n, one in enumerate(value if isinstance(value, list) else []):
            yield from _wrong(one, arguments[0], f"{path}/{n}")
    elif origin is dict:
        yield from [] if isinstance(value, dict) else [f"{path}: {value!r} is no object"]
        for key, one in value.items() if isinstance(value, dict) else ():
            yield from _wrong(one, arguments[1], f"{path}/{key}")
    elif origin is typing.Literal:
        yield from [] if value in arguments else [f"{path}: {value!r} is none of {arguments}"]
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        yield from [] if value in [one.value for one in hint] else [f"{path}: {value!r} is none of {list(hint)}"]
    elif hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        yield from [] if number else [f"{path}: {value!r} is no number"]
    elif hint in (int, str, bool, type(None)):
        flag = isinstance(value, bool) and hint is not bool
        yield from [] if isinstance(value, hint) and not flag else [f"{path}: {value!r} is no {hint.__name__}"]
    elif isinstance(hint, type):
        if isinstance(value, dict) and hasattr(hint, "from_json"):  # left undecoded by what holds it
            decoded = hint.from_json(value)
            yield from _differences(value, json.loads(json.dumps(decoded, cls=JSONEncoder)), path)
            value = decoded
        if not isinstance(value, hint):
            yield f"{path}: {value!r} is no {hint.__name__}"
        for name, stated in typing.get_type_hints(type(value)).items():
            if hasattr(value, name):
                yield from _wrong(getattr(value, name), stated, f"{path}/{name}")
