"""Numbers stay whole and exact: no room left, half-written keys, writers and readers at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from waiting import wait

from vitrina.telemetry.cells import CELLS, Cells, all_slots


@pytest.fixture(params=["memory", "file"])
def cells(request, tmp_path: Path):
    made = Cells(tmp_path if request.param == "file" else None)
    yield made
    made.close()


def test_what_has_no_room_is_said_and_leaves_the_rest_alone(cells: Cells, caplog) -> None:
    keys = [("many", number) for number in range(CELLS - 1)]
    cells.places(keys, start=2.0)
    cells.add(("one too many",))
    cells.add(("many", 7))
    assert "no room for counts under [('one too many',)]" in caplog.text
    assert cells.snapshot() == {key: 2.0 + (key == ("many", 7)) for key in keys}


def test_places_are_in_the_order_of_the_keys_and_stay(cells: Cells) -> None:
    first = cells.places([("a",), ("b",)])
    again = cells.places([("b",), ("c",), ("b",), ("a",)], start=5.0)
    assert (again[0], again[2], again[3]) == (first[1], first[1], first[0])
    assert cells.snapshot() == {("a",): 0.0, ("b",): 0.0, ("c",): 5.0}


def test_threads_lose_nothing(cells: Cells) -> None:
    def count() -> None:
        for number in range(5000):
            cells.add(("all",))
            cells.add(("each", number % 50))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = cells.snapshot()
    assert found["all",] == 20_000
    assert {value for key, value in found.items() if key[0] == "each"} == {400.0}


def test_a_half_written_key_is_no_key_and_is_written_over(tmp_path: Path) -> None:
    first = Cells(tmp_path)
    first.put(("whole",), 3.0)
    first.close()
    with (tmp_path / "0.keys").open("ab") as file:
        file.write(json.dumps(["half"]).encode()[:4])
    assert list(all_slots(tmp_path)) == [({("whole",): 3.0}, False)]
    second = Cells(tmp_path)
    second.put(("next",), 4.0)
    assert list(all_slots(tmp_path)) == [({("whole",): 3.0, ("next",): 4.0}, True)]
    second.close()


def test_a_slot_of_a_living_process_is_not_taken(tmp_path: Path) -> None:
    first, second = Cells(tmp_path), Cells(tmp_path)
    first.add(("n",))
    second.add(("n",))
    assert sorted(path.name for path in tmp_path.glob("*.cells")) == ["0.cells", "1.cells"]
    assert list(all_slots(tmp_path)) == [({("n",): 1.0}, True), ({("n",): 1.0}, True)]
    first.close()
    assert [alive for _, alive in all_slots(tmp_path)] == [False, True]
    second.close()


WRITER = """
import sys
from pathlib import Path
from vitrina.telemetry.cells import Cells
cells = Cells(Path(sys.argv[1]))
values = [float(2**52 - 1), 1.0]  # all bits of the one differ from those of the other
cells.put(("number",), 1.0)
print("begun", flush=True)
for turn in range(10**9):
    cells.put(("number",), values[turn % 2])
    cells.add(("turns", turn % 5000))
"""


def test_a_reader_sees_whole_numbers_only(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], text=True, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        seen: Counter[float] = Counter()

        def look() -> bool:
            ((numbers, _alive),) = all_slots(tmp_path)
            seen[numbers["number",]] += 1
            return seen.total() >= 300 and len(seen) > 1

        try:
            wait(look, otherwise=lambda: f"{seen}: it does not write", pause=0)  # where it has to wait for its turn
        finally:
            child.kill()
    assert set(seen) == {1.0, float(2**52 - 1)}
