"""How a caller's log is read: which column is which, which event name is which kind, what each kind weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from vitrina.errors import ConfigError
from vitrina.events.schema import DEFAULT_WEIGHTS, KIND_NAMES, KIND_OF

ROLES = ("user", "item", "event", "timestamp")
IGNORE = "ignore"
EXAMPLE = "user=customer,item=sku,event=type,timestamp=ts,event.view=click,event.addtocart=basket,weight.view=1"


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Columns of a log. Without `event` every row is a transaction.

    `names` maps the log's event names to kinds; names in `ignored` are dropped and counted. A kind that the caller
    does not map keeps its own name (view, addtocart, transaction). `weights` are by kind.
    """

    user: str = "visitorid"
    item: str = "itemid"
    event: str | None = "event"
    timestamp: str = "timestamp"
    names: Mapping[str, int] = field(default_factory=lambda: dict(KIND_OF))
    ignored: frozenset[str] = frozenset()
    weights: tuple[float, ...] = DEFAULT_WEIGHTS

    @classmethod
    def load(cls, text: str) -> Self:
        """`--columns`: pairs, or the path of a YAML file. `ConfigError` says which pair is wrong."""
        if text.endswith((".yaml", ".yml")):
            return cls.from_yaml(Path(text))
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `user=customer,item=sku,event.view=click,weight.view=1`; a pair may repeat an event with more names."""
        pairs: list[tuple[str, str]] = []
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals:
                raise ConfigError(f"--columns: {part.strip()!r} is no name=value pair. Write for instance {EXAMPLE}")
            pairs.append((key.strip(), value.strip()))
        return cls._build(pairs)

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Reads a file with `user`, `item`, `timestamp`, and optionally `event`, `events` (name or list by kind, and
        `ignore`) and `weights` (number by kind)."""
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"--columns: {path} cannot be read as YAML: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"--columns: {path} must hold names and values, such as `user: customer`")
        pairs: list[tuple[str, str]] = []
        for key, value in content.items():
            if key in ("events", "weights"):
                if not isinstance(value, dict):
                    raise ConfigError(f"--columns: {path}: {key} must hold one line per kind ({', '.join(KIND_NAMES)})")
                prefix = "event" if key == "events" else "weight"
                for kind, given in value.items():
                    pairs += [(f"{prefix}.{kind}", str(one)) for one in (given if isinstance(given, list) else [given])]
            elif isinstance(value, dict | list):
                raise ConfigError(f"--columns: {path}: {key} must be one name")
            else:
                pairs.append((str(key), "" if value is None else str(value)))
        return cls._build(pairs)

    @classmethod
    def _build(cls, pairs: list[tuple[str, str]]) -> Self:
        columns: dict[str, str] = {}
        names: dict[str, int] = {}
        ignored: set[str] = set()
        weights = dict(enumerate(DEFAULT_WEIGHTS))
        for key, value in pairs:
            group, _, kind = key.partition(".")
            if key in ROLES:
                if key in columns:
                    raise ConfigError(f"--columns: {key} is given twice")
                columns[key] = value
            elif group == "event" and kind == IGNORE:
                ignored.add(_filled(key, value))
            elif group == "event" and kind in KIND_OF:
                if names.setdefault(_filled(key, value), KIND_OF[kind]) != KIND_OF[kind]:
                    raise ConfigError(f"--columns: event name {value!r} is mapped to two kinds")
            elif group == "weight" and kind in KIND_OF:
                weights[KIND_OF[kind]] = _weight(key, value)
            else:
                known = [
                    *ROLES,
                    *(f"event.{one}" for one in (*KIND_NAMES, IGNORE)),
                    *(f"weight.{one}" for one in KIND_NAMES),
                ]
                raise ConfigError(f"--columns: {key!r} is not one of {', '.join(known)}")
        if both := sorted(ignored & names.keys()):
            raise ConfigError(f"--columns: event name {both[0]!r} is both mapped and ignored")
        for name, kind_number in KIND_OF.items():
            if kind_number not in names.values() and name not in ignored:
                names.setdefault(name, kind_number)
        return cls(
            **_roles(columns, mapped=bool(names.keys() - KIND_OF.keys() or ignored)), **_rest(names, ignored, weights)
        )

    def describe(self) -> str:
        """The map as `--columns` text; `parse` of it gives an equal map if no name holds a comma or equals sign."""
        parts = [f"user={self.user}", f"item={self.item}", f"event={self.event or ''}", f"timestamp={self.timestamp}"]
        if self.event:
            parts += [f"event.{KIND_NAMES[kind]}={name}" for name, kind in self.names.items()]
            parts += [f"event.{IGNORE}={name}" for name in sorted(self.ignored)]
        parts += [f"weight.{name}={weight!r}" for name, weight in zip(KIND_NAMES, self.weights, strict=True)]
        return ",".join(parts)


def _roles(columns: dict[str, str], *, mapped: bool) -> dict[str, Any]:
    """The four columns. Naming none keeps those of RetailRocket; naming some means naming all that there are."""
    if not columns:
        return {}
    for role in ("user", "item", "timestamp"):
        if not columns.get(role):
            raise ConfigError(f"--columns: {role} is not mapped. Add {role}=NAME OF THE COLUMN, as in {EXAMPLE}")
    event = columns.get("event") or None
    if mapped and event is None:
        raise ConfigError("--columns: event names are mapped, but no event column. Add event=NAME OF THE COLUMN")
    named = [columns["user"], columns["item"], columns["timestamp"], *([event] if event else [])]
    if len(set(named)) < len(named):
        raise ConfigError(f"--columns: one column cannot play two roles: {', '.join(named)}")
    return {"user": columns["user"], "item": columns["item"], "timestamp": columns["timestamp"], "event": event}


def _rest(names: dict[str, int], ignored: set[str], weights: dict[int, float]) -> dict[str, Any]:
    return {"names": names, "ignored": frozenset(ignored), "weights": tuple(weights[kind] for kind in sorted(weights))}


def _filled(key: str, value: str) -> str:
    if not value:
        raise ConfigError(f"--columns: {key} has no event name. Write {key}=NAME")
    return value


def _weight(key: str, value: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise ConfigError(f"--columns: {key}={value} is no weight. Give a number from 0 up")
    return weight
