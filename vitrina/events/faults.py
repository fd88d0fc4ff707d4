"""Counts bad rows by reason, keeps the first examples, and stops the reading when there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from vitrina.engine import Engine
from vitrina.errors import DataError
from vitrina.events.report import BadRow
from vitrina.events.schema import KIND_NAMES
from vitrina.events.staging import Staged, StagedFiles
from vitrina.events.validation import OTHER_REMEDY, REMEDIES, UNKNOWN_EVENT, Limits


class Faults:
    """Collects over all files of one log; `remedies` are the ways out by fault."""

    def __init__(self, limits: Limits, remedies: Mapping[str, str] = REMEDIES) -> None:
        self.limits = limits
        self.remedies = remedies
        self.rejected: Counter[str] = Counter()
        self.examples: list[BadRow] = []

    def check(self, staged: Staged | StagedFiles, rows: ir.Table, engine: Engine) -> int:
        """Adds the faults of one file (`fault`, `value`, `n` columns; broken lines) and returns the count of all its
        rows. `DataError`, naming the most frequent fault and its first row, when more than the allowed share is bad."""
        bad = rows.filter(rows.fault.notnull())
        counts = Counter(
            {one["fault"]: one["rows"] for one in engine.to_arrow(bad.fault.topk(100, name="rows")).to_pylist()}
        )
        counts.update(reason for _, _, reason, _ in staged.bad_lines)
        total = staged.rows + len(staged.bad_lines)
        if not counts:
            return total
        first = self._first(staged, bad, engine)
        if sum(counts.values()) > self.limits.max_bad_share * total:
            raise self._too_many(staged, total, counts, first, bad, engine)
        self.rejected.update(counts)
        self.examples += first
        return total

    def _first(self, staged: Staged | StagedFiles, bad: ir.Table, engine: Engine) -> list[BadRow]:
        """The first rows of every reason, in file order."""
        rank = ibis.row_number().over(group_by=bad.fault, order_by=bad.n)
        ranked = bad.select("fault", "value", "n", rank=rank)
        found = engine.to_arrow(ranked.filter(ranked["rank"] < self.limits.examples)).to_pylist()
        rows = [(*staged.place(one["n"]), one["fault"], one["value"]) for one in found]
        seen: Counter[str] = Counter()
        for file, row, reason, text in staged.bad_lines:
            seen[reason] += 1
            if seen[reason] <= self.limits.examples:
                rows.append((file, row, reason, text[:200]))
        return [
            BadRow(file=file, row=row, reason=reason, value=text)
            for file, row, reason, text in sorted(rows, key=lambda one: one[:3])
        ]

    def _too_many(
        self,
        staged: Staged | StagedFiles,
        total: int,
        counts: Counter[str],
        first: list[BadRow],
        bad: ir.Table,
        engine: Engine,
    ) -> DataError:
        worst = counts.most_common(1)[0][0]
        example = min((one for one in first if one.reason == worst), key=lambda one: (one.file, one.row))
        each = ", ".join(f"{reason}: {count:,}" for reason, count in counts.most_common())
        problem = f"{worst} ({example.value!r}); {sum(counts.values()):,} of {total:,} rows are bad ({each})"
        remedy = self.remedies.get(worst, OTHER_REMEDY)
        if worst == UNKNOWN_EVENT:
            unknown = bad.filter(bad.fault == UNKNOWN_EVENT)
            names = engine.to_arrow(unknown.value.topk(20, name="rows")).to_pylist()
            shown = ", ".join(f"{one['value']} ({one['rows']:,})" for one in names)
            remedy = (
                f"Unknown names: {shown}. Map each to one of {', '.join(KIND_NAMES)} or drop it, for instance "
                f"--columns ...,event.view={names[0]['value']} or event.ignore={names[0]['value']}."
            )
        return DataError(problem, where=f"{example.file}, row {example.row}", remedy=remedy)
