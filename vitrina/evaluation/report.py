"""Scores of one model per user, pooled over windows, and the table that shows several models beside each other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.bootstrap import Interval, mean_intervals, paired_difference
from vitrina.evaluation.metrics import Floats, list_metrics, user_metrics
from vitrina.evaluation.truth import Int32s, Int64s, Truth

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Values of one model: `values[name]` float64 (rows,), the user of each row in `clusters` int64 (rows,).

    `lists` holds the numbers that belong to the lists as a whole (coverage, novelty, popularity).
    `ValueError` when lengths differ or a value is not finite.
    """

    values: Mapping[str, Floats]
    clusters: Int64s
    lists: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in self.values.items():
            if column.shape != self.clusters.shape:
                raise ValueError(f"{name} has {column.shape} values for {len(self.clusters)} rows")
            if not np.isfinite(column).all():
                raise ValueError(f"{name} holds a value that is not finite")

    @classmethod
    def of(
        cls, recs: Int32s, truth: Truth, ks: Iterable[int], *, counts: npt.NDArray[np.integer] | None = None
    ) -> Scores:
        """Scores lists int32 (rows, width) against `truth`; with item `counts` (items,) also the list metrics."""
        depths = tuple(ks)
        return cls(
            values=user_metrics(recs, truth, depths),
            clusters=truth.row_ids.astype(np.int64),
            lists={} if counts is None else list_metrics(recs, counts, depths),
        )

    @classmethod
    def pool(cls, parts: Sequence[Scores]) -> Scores:
        """All rows of several windows; a user met in two windows stays one cluster. List metrics: mean by rows."""
        if not parts or any(p.values.keys() != parts[0].values.keys() for p in parts):
            raise ValueError("pooling needs at least one part, and the same metrics in every part")
        rows = sum(len(p) for p in parts)
        return cls(
            values={name: np.concatenate([p.values[name] for p in parts]) for name in parts[0].values},
            clusters=np.concatenate([p.clusters for p in parts]),
            lists={
                name: sum(p.lists[name] * len(p) for p in parts) / rows if rows else 0.0
                for name in parts[0].lists
                if all(name in p.lists for p in parts)
            },
        )

    def save(self, path: Path) -> None:
        """Writes one .npz file under exactly this name, for a later step to compare."""
        columns: dict[str, Any] = {f"value/{name}": column for name, column in self.values.items()}
        columns |= {f"list/{name}": np.float64(number) for name, number in self.lists.items()}
        with path.open("wb") as file:
            np.savez(file, clusters=self.clusters, **columns)

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                values={n.removeprefix("value/"): stored[n] for n in stored.files if n.startswith("value/")},
                clusters=stored["clusters"],
                lists={n.removeprefix("list/"): float(stored[n]) for n in stored.files if n.startswith("list/")},
            )

    def __len__(self) -> int:
        return len(self.clusters)

    @property
    def users(self) -> int:
        """Number of distinct users."""
        return len(np.unique(self.clusters))

    def column(self, metric: str) -> Floats:
        """Values of one metric, float64 (rows,); `ValueError` names the metrics that there are."""
        if metric not in self.values:
            raise ValueError(f"no metric {metric!r} among {', '.join(self.values)}")
        return self.values[metric]

    def mean(self, metric: str) -> float:
        """Mean over the rows, or the value of a list metric. 0 without rows."""
        if metric in self.lists:
            return self.lists[metric]
        column = self.column(metric)
        return float(column.mean()) if len(column) else 0.0

    def means(self) -> dict[str, float]:
        """Every metric by name, list metrics last."""
        return {name: self.mean(name) for name in self.values} | dict(self.lists)

    def intervals(self, metrics: Sequence[str], *, seed: int = 0) -> dict[str, Interval]:
        """Mean and 95 % interval of each per-user metric, all from the same drawn users."""
        columns = np.column_stack([self.column(name) for name in metrics])
        return dict(zip(metrics, mean_intervals(columns, self.clusters, seed=seed), strict=True))

    def minus(self, other: Scores, metric: str, *, seed: int = 0, n: int = 2000, level: float = 0.95) -> Interval:
        """Paired difference self - other by user. `ValueError` unless both were judged on the same rows."""
        if not np.array_equal(self.clusters, other.clusters):
            raise ValueError("the two models were not judged on the same users in the same order")
        return paired_difference(self.column(metric), other.column(metric), self.clusters, seed=seed, n=n, level=level)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows are models, columns metrics: mean and 95 % interval of per-user metrics, the bare number of list metrics."""

    title: str
    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Interval | float]]
    users: int
    cases: int

    @classmethod
    def of(cls, title: str, scores: Mapping[str, Scores], metrics: Sequence[str], *, seed: int = 0) -> Table:
        """`ValueError` without models, without rows, or when the models were judged on different rows."""
        if not scores:
            raise ValueError("a table needs at least one model")
        first = next(iter(scores.values()))
        if any(not np.array_equal(first.clusters, s.clusters) for s in scores.values()):
            raise ValueError("the models of one table must be judged on the same users")
        rows: dict[str, dict[str, Interval | float]] = {}
        for name, s in scores.items():
            per_user = s.intervals([m for m in metrics if m not in s.lists], seed=seed)
            rows[name] = {m: per_user[m] if m in per_user else s.lists[m] for m in metrics}
        return cls(title=title, metrics=tuple(metrics), rows=rows, users=first.users, cases=len(first))

    @property
    def caption(self) -> str:
        """On how many users and rows the numbers stand."""
        return f"{self.users} users, {self.cases} cases; mean ± half of the 95 % interval, drawn again by user"

    def rich(self) -> RichTable:
        """For `rich.print`; the best mean of each per-user metric is bold."""
        from rich.table import Table as RichTable

        table = RichTable(title=self.title, caption=self.caption)
        table.add_column("model", no_wrap=True)
        for metric in self.metrics:
            table.add_column(metric, justify="right", no_wrap=True)
        for name, row in self.rows.items():
            cells = [f"[bold]{_text(row[m])}[/bold]" if self._best(m, row[m]) else _text(row[m]) for m in self.metrics]
            table.add_row(name, *cells)
        return table

    def markdown(self) -> str:
        """The same as a Markdown table, title and caption around it."""
        lines = [
            f"**{self.title}**",
            "",
            f"| model | {' | '.join(self.metrics)} |",
            "|---" * (len(self.metrics) + 1) + "|",
        ]
        for name, row in self.rows.items():
            cells = [f"**{_text(row[m])}**" if self._best(m, row[m]) else _text(row[m]) for m in self.metrics]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return "\n".join([*lines, "", self.caption, ""])

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`: title, users, cases, and models by name and metric."""
        models = {
            name: {m: v.as_json() if isinstance(v, Interval) else v for m, v in row.items()}
            for name, row in self.rows.items()
        }
        return {"title": self.title, "users": self.users, "cases": self.cases, "models": models}

    def to_json(self) -> str:
        """`as_json` as text."""
        return json.dumps(self.as_json(), indent=2)

    def _best(self, metric: str, value: Interval | float) -> bool:
        if not isinstance(value, Interval):
            return False
        rivals = [row[metric] for row in self.rows.values()]
        return value.mean == max(r.mean for r in rivals if isinstance(r, Interval))


def _text(value: Interval | float) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if not math.isfinite(value.low):
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f} ± {(value.high - value.low) / 2:.4f}"
