"""`vitrina generate --shape baskets` in a process of its own: what it writes is what the reader, the oracle and
`vitrina upload` take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, BasketWorld


def vitrina(*arguments: str) -> subprocess.CompletedProcess[str]:
    start = "import sys; from vitrina.cli import main; sys.argv[0] = 'vitrina'; main()"
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"COLUMNS": "200"})


def test_generated_invoices_are_read_and_sent_where_they_belong(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    sizes = ("--baskets", "400", "--products", "90", "--customers", "50", "--months", "5", "--seed", "3")
    done = vitrina("generate", "--shape", "baskets", "--out", str(out), *sizes, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told == {
        "out": str(out), "shape": "baskets", "baskets": 400, "products": 90, "customers": 50, "months": 5, "seed": 3
    }  # fmt: skip
    assert BasketWorld.load(out).spec == BasketSpec(baskets=400, products=90, customers=50, months=5, seed=3)
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        assert read_baskets(out, tmp_path / "read", engine).baskets == 400

    place = str(tmp_path / "place")
    sent = vitrina("upload", "--scenario", "basket", "--data", str(out), "--to", place, "--json")
    there = vitrina("events", "--scenario", "basket", "--data", place, "--json")
    assert (sent.returncode, there.returncode) == (0, 0), sent.stderr + there.stderr
    uploaded, listed = json.loads(sent.stdout), json.loads(there.stdout)
    assert (uploaded["sent"], listed["file"]) == (1, SALES_FILE)
    assert listed["fingerprint"] == uploaded["fingerprint"]
    assert listed["bytes"] == (out / SALES_FILE).stat().st_size
    nowhere = vitrina("events", "--scenario", "basket", "--data", str(tmp_path / "nosuchdir"), "--json")
    assert nowhere.returncode == 2 and "no such file or folder" in nowhere.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--shape", "baskets", "--events", "1000"), "--events is no option of --shape baskets"),
        (("--shape", "bank", "--baskets", "1000"), "--baskets is no option of --shape bank"),
        (("--products", "1000"), "--products is no option of --shape storefront"),
        (("--shape", "baskets", "--products", "95000"), "products=95000"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_and_nothing_written(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = vitrina("generate", "--out", str(tmp_path / "world"), *arguments, "--json")
    assert done.returncode == 2
    assert says in json.loads(done.stdout)["error"]["reason"]
    assert not (tmp_path / "world").exists()
