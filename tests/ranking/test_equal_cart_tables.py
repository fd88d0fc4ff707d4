"""Equal baskets make equal tables in every process: else the same training would give another model each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets

TOLD = """
import hashlib, sys
from pathlib import Path
import numpy as np
from vitrina.candidates.carts import Carts
from vitrina.candidates.ease import EASE
from vitrina.events.baskets.baskets import Baskets
from vitrina.ranking.cart_tables import cart_tables
baskets = Baskets.open(Path(sys.argv[1]))
until = int(baskets.ts[-1]) + 1
tables = cart_tables(baskets, until, EASE().fit(Carts.of(baskets, threads=1, as_of=until)))
for name in ("starts", "targets", "values", "products"):
    print(name, hashlib.sha256(np.ascontiguousarray(getattr(tables, name)).tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_order_of_words_in_memory_does_not_matter(tmp_path: Path) -> None:
    """Python orders a set of texts anew in each process; sums of floats, and so the best of equals, depend on order."""
    generate_baskets(BasketSpec(baskets=400, products=300, customers=50, months=3, seed=3), tmp_path / "sales")
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        read_baskets(tmp_path / "sales" / SALES_FILE, tmp_path / "validated", engine)
    command = [sys.executable, "-c", TOLD, str(tmp_path / "validated")]
    told = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=300
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
