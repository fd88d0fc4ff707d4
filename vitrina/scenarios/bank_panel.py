"""The bank's panel: taken, validated, and looked through for the months that a model can learn from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vitrina.errors import ConfigError, DataError
from vitrina.scenarios.prepared import write_fingerprint
from vitrina.scenarios.raw_data import asked_data, take_file, validated
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.events.panels.panel import Panel

SPLIT = "split.json"
MONTHS = "months.json"
MONTHS_TO_JUDGE = 3


@dataclass(frozen=True, kw_only=True)
class Split:
    """`as_of_month` is the last month of the panel; `labelled` are the months, ascending, of which the next is known.

    The newest labelled month is for the test, the one before it for choosing, calibration and thresholds; what lies
    before is learned from.
    """

    as_of_month: int
    labelled: tuple[int, ...]

    @property
    def judges(self) -> bool:
        """Whether the months suffice to learn, to choose and to judge."""
        return len(self.labelled) >= MONTHS_TO_JUDGE

    @property
    def test(self) -> int:
        """The month whose rows are judged."""
        return self.labelled[-1]

    @property
    def validation(self) -> int:
        """The month whose rows models are chosen, calibrated and given thresholds on."""
        return self.labelled[-2]

    @property
    def training(self) -> int:
        """The last month whose rows are learned from."""
        return self.labelled[-3]

    @classmethod
    def read(cls, prepared: Path) -> Self:
        """What `write` wrote."""
        content = json.loads((prepared / SPLIT).read_text())
        return cls(as_of_month=content["as_of_month"], labelled=tuple(content["labelled"]))

    def write(self, prepared: Path) -> None:
        """Writes split.json."""
        (prepared / SPLIT).write_text(json.dumps(asdict(self)))


def extract(run: Run) -> dict[str, Any]:
    """Takes the caller's file into the object store as it is."""
    from vitrina.events.panels.raw import open_raw_panel

    data = asked_data(run)
    if run.columns is not None:
        raise ConfigError(f"{run.scenario} knows train_ver2.csv's columns by both of their names. Leave --columns out")
    place = open_raw_panel(data, access=run.access, cache=run.cache)
    return take_file(run, place)


def validate(run: Run) -> dict[str, Any]:
    """Raw files to the validated panel; says what it does not have."""
    from vitrina.events.panels.reader import read_panel

    report = validated(run, lambda _, *asked: read_panel(*asked))
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "rejected": {},
        "form": report.form,
        "customers": report.customers,
        "months": len(report.months),
        "missing": list(report.missing),
    }


def prepare(run: Run) -> dict[str, Any]:
    """Finds the months up to the run's `as_of` whose next month is known, and counts what was taken after each."""
    import numpy as np

    from vitrina.events.panels.columns import month_text
    from vitrina.events.panels.report import PanelReport
    from vitrina.features.panel_history import product_matrix
    from vitrina.features.panel_labels import acquisitions

    panel = _open(run, None if run.as_of is None else last_whole_month(run.as_of))
    found = acquisitions(panel)
    months = panel.month[found.rows]
    split = Split(as_of_month=int(panel.month.max()), labelled=tuple(np.unique(months).tolist()))
    if not split.labelled:
        raise DataError(
            "no customer has rows in two months that follow each other, so nothing tells what was taken next",
            where=run.data or run.key("validated"),
            remedy="Give more months of the panel: two are the least, four make a model that is judged",
        )
    taken = {
        month_text(month): {
            "rows": int((months == month).sum()),
            "taken": product_matrix(found.taken[months == month]).sum(axis=0).tolist(),
        }
        for month in split.labelled
    }
    with run.writing("prepared") as folder:
        folder.mkdir()
        split.write(folder)
        (folder / MONTHS).write_text(json.dumps(taken))
        write_fingerprint(folder, of=run.local("validated"))
    if not split.judges:
        run.note(f"{len(split.labelled)} months are followed by another, {MONTHS_TO_JUDGE} are needed to judge a model")
    return {
        "rows_in": PanelReport.read(run.local("validated")).rows_out,
        "rows_out": len(panel),
        "customers": len(panel.customers),
        "as_of_month": month_text(split.as_of_month),
        "labelled": [month_text(month) for month in split.labelled],
        "acquisitions": sum(sum(month["taken"]) for month in taken.values()),
    }


def opened(run: Run) -> tuple[Panel, Split]:
    """The panel up to the month that `prepare` ended it with."""
    split = Split.read(run.local("prepared"))
    return _open(run, split.as_of_month), split


def last_whole_month(as_of: int) -> int:
    """The last month that was over at `as_of` (ms)."""
    from vitrina.events.panels.columns import month_of

    return month_of(datetime.fromtimestamp(as_of / 1000, UTC).date()) - 1


def _open(run: Run, as_of_month: int | None) -> Panel:
    from vitrina.engine import LocalEngine
    from vitrina.events.panels.panel import Panel

    with LocalEngine(memory_limit=run.memory, threads=run.threads) as engine:
        return Panel.open(run.local("validated"), engine, as_of_month=as_of_month)
