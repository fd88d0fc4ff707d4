"""What a person reads of recorded runs is whole on a narrow terminal, too."""

from __future__ import annotations

import pytest

from vitrina.storage.state import StepRun
from vitrina.verbs.console import show_runs

ERROR = "DataError: sales.csv, row 1: no column CustomerID; the columns are [red]InvoiceNo[/red], StockCode, Quantity"
RUN = StepRun(
    scenario="basket",
    run_id="train-2026-11-22T21:13:10Z",
    step="companions",
    attempt=2,
    as_of=None,
    begun=1_763_850_000_000,
    ended=1_763_850_090_000,
    outcome="failed",
    result=None,
    error=ERROR,
)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_narrow_terminal_cuts_nothing_off(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show_runs([RUN])
    table, error = capsys.readouterr().out.removesuffix("\n").rsplit("\n", 1)
    assert error == f"{RUN.run_id}, companions, attempt 2: {ERROR}"
    assert max(map(len, table.splitlines())) <= columns and "\N{HORIZONTAL ELLIPSIS}" not in table
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
    _, run, step, *others = ("".join(parts) for parts in zip(*rows, strict=True))
    assert (run, step, others) == (RUN.run_id, "companions", ["2", "90.0", "failed"])
