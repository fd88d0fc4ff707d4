"""`python -m benchmarks.basket.quality_tuning`: every source of companions tuned on the month before the test.

The whole grid, with what each setting is worth, is kept beside the benchmark's results; the best ones are the settings
of `vitrina.candidates.cart_sources`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.__main__ import RESULTS
from benchmarks.basket.invoices import invoices
from vitrina.candidates.cart_sources import CART_SOURCES
from vitrina.candidates.carts import Carts
from vitrina.engine import LocalEngine
from vitrina.evaluation.basket_tuning import GRIDS, Tuning, tune
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, hide_one
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.baskets.splits import BasketSplit

FILE: Final = "basket_tuning.json"
DRAWS: Final = 5
"""How many times one product of each basket is hidden: 1,858 baskets alone choose by chance."""


def main() -> None:
    """Tunes the wanted sources and puts them in the place of their earlier results."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("source", nargs="*", help="only these (all)")
    made.add_argument("--data", type=Path, help="a file of invoices; without it the real one")
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = made.parse_args()
    baskets, split = opened(invoices(options.data).path)
    carts, drawn = choosing(baskets, split)
    for name in options.source or GRIDS:
        print(f"tuning {name}", flush=True)
        found = tune(CART_SOURCES[name], GRIDS[name], carts, drawn, lambda text: print("  ", text, flush=True))
        keep(options.out / FILE, name, found)


def opened(source: Path) -> tuple[Baskets, BasketSplit]:
    """The file's baskets in memory, and where they are cut."""
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as scratch, LocalEngine() as engine:
        read_baskets(source, Path(scratch) / "baskets", engine)
        baskets = Baskets.open(Path(scratch) / "baskets")
    return baskets, BasketSplit.of(baskets)


def choosing(baskets: Baskets, split: BasketSplit) -> tuple[Carts, list[Cases]]:
    """What is learned from, and the draws of the month that settings are chosen on."""
    learned = baskets.between(None, split.validation)
    carts = Carts.of(learned, threads=os.cpu_count() or 1, as_of=split.validation)
    month = baskets.between(split.validation, split.test)
    return carts, [hide_one(month, seed) for seed in range(1, DRAWS + 1)]


def keep(path: Path, name: str, found: Tuning) -> None:
    """One source's grid, the best first told."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    trials = [trial.as_json() for trial in found.trials]
    document[name] = {"best": asdict(found.best.spec), "aim": round(found.best.aim, 5), "tried": len(trials)}
    document[name]["trials"] = trials
    path.write_text("{\n" + ",\n".join(_lines(name, one) for name, one in document.items()) + "\n}\n", encoding="utf-8")


def _lines(name: str, source: dict[str, Any]) -> str:
    """JSON with a trial in each line, so that a grid can be read."""
    trials = ",\n".join(f"   {json.dumps(trial)}" for trial in source["trials"])
    plain = "".join(f"  {json.dumps(key)}: {json.dumps(source[key])},\n" for key in source if key != "trials")
    return f' {json.dumps(name)}: {{\n{plain}  "trials": [\n{trials}\n  ]\n }}'


if __name__ == "__main__":
    main()
