"""`python -m benchmarks [serving|growth|quality|state|visitors|bank|basket|all]`: measures, prints and stores."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine
from benchmarks.parts import InParts
from benchmarks.results import Table, store
from vitrina.errors import VitrinaError

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Reads the command line and runs the wanted benchmarks in their order."""
    options = parser().parse_args()
    console = Console(width=150)
    verbs: dict[str, Callable[[argparse.Namespace, Console], None]] = {
        "serving": serving,
        "growth": growth,
        "quality": quality,
        "state": state,
        "visitors": visitors,
        "bank": bank,
        "basket": basket,
    }
    for name in verbs if options.what == "all" else [options.what]:
        try:
            verbs[name](options, console)
        except VitrinaError as error:
            raise SystemExit(str(error)) from error


def parser() -> argparse.ArgumentParser:
    """Every option with its default."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    subjects = ["serving", "growth", "quality", "state", "visitors", "bank", "basket", "all"]
    made.add_argument("what", nargs="?", choices=subjects, default="all")
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    made.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="day that the results are marked with")
    trained_on = made.add_argument_group("serving, visitors, bank and basket")
    trained_on.add_argument(
        "--data",
        type=Path,
        help="train on this log, not a generated one; bank: the extract of acquisitions; basket: a file of invoices",
    )
    trained_on.add_argument(
        "--home", type=Path, help="ask the champion of this trained home; trained first when it holds none"
    )
    trained_on.add_argument(
        "--world", type=int, default=500_000, metavar="EVENTS", help="size of the generated world (500000)"
    )
    asked = made.add_argument_group("serving, bank and basket")
    asked.add_argument("--seconds", type=int, default=4, help="length of one stretch of load (4)")
    asked.add_argument("--rounds", type=int, default=3, help="stretches of each subject (3)")
    asked.add_argument("--profile", action="store_true", help="time the parts of one answer instead")
    grown = made.add_argument_group("growth")
    grown.add_argument(
        "--events",
        type=numbers,
        default=[100_000, 500_000, 2_756_101],
        metavar="N,N,...",
        help="sizes of the generated worlds (100000,500000,2756101)",
    )
    inserted = made.add_argument_group("state")
    inserted.add_argument("--inserts", type=int, default=4_000, help="single inserts of one stretch of load (4000)")
    inserted.add_argument("--turns", type=int, default=5, help="stretches of each driver and shape (5)")
    come = made.add_argument_group("visitors")
    come.add_argument("--rate", type=positive, default=200.0, help="requests per second in the steady phase (200)")
    come.add_argument("--spike", type=positive, default=3.0, help="times the rate in the spike (3)")
    come.add_argument("--length", type=positive, default=60.0, help="seconds of all phases together (60)")
    come.add_argument("--cold", type=share, default=0.2, help="share of the visits by ids that no log has named (0.2)")
    come.add_argument(
        "--exponent", type=positive, default=1.0, help="power law: rank r of activity has weight r^-exponent (1)"
    )
    come.add_argument("--workers", type=int, default=2, help="workers of the service (2)")
    in_parts = made.add_argument_group("bank and basket")
    in_parts.add_argument("--part", action="append", choices=["training", "quality", "serving"], help="only this (all)")
    panels = made.add_argument_group("bank")
    panels.add_argument(
        "--rows",
        type=numbers,
        default=[1_000_000, 13_647_309],
        metavar="N,N,...",
        help="training: rows of the generated panels (1000000,13647309)",
    )
    panels.add_argument("--worlds", type=int, default=3, help="quality: generated panels of each kind (3)")
    panels.add_argument("--customers", type=int, default=40_000, help="quality: customers of each panel (40000)")
    return made


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    return [int(one) for one in text.split(",")]


def positive(text: str) -> float:
    """A number above 0."""
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give a number above 0")
    return float(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 to 1")
    return float(text)


def serving(options: argparse.Namespace, console: Console) -> None:
    """Speed of the service, or with --profile of the parts of one answer."""
    from benchmarks import serving as measured

    facts = machine(options.date)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitrina-bench-")))
        world = trained(options, scratch, console)
        if options.profile:
            from benchmarks import answer_profile

            found = answer_profile.run(world)
            finish(options, console, "profile", {"machine": facts, **found}, answer_profile.tables(found))
            return
        found = measured.run(world, scratch, seconds=options.seconds, rounds=options.rounds)
    finish(options, console, "serving", {"machine": facts, **found}, measured.tables(found))


def growth(options: argparse.Namespace, console: Console) -> None:
    """Time and memory of the whole pipeline over the size of the log."""
    from benchmarks import growth as measured

    facts = machine(options.date)
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as scratch:
        found = measured.run(options.events, Path(scratch), note=console.print)
    finish(options, console, "growth", {"machine": facts, **found}, measured.tables(found))


def quality(options: argparse.Namespace, console: Console) -> None:
    """Ranking quality beside the baselines and peers; stores its own results."""
    from benchmarks.quality import run

    run(options.out, source=options.data)


def state(options: argparse.Namespace, console: Console) -> None:
    """Speed of the drivers of PostgreSQL at inserting events."""
    from benchmarks import state as measured

    facts = machine(options.date)
    found = measured.run(options.inserts, options.turns)
    finish(options, console, "state", {"machine": facts, **found}, measured.tables(found))


def visitors(options: argparse.Namespace, console: Console) -> None:
    """A shop's visitors against the service, played by k6; ends with an error when a limit was crossed."""
    from benchmarks.visitors import drive, report
    from benchmarks.visitors.plan import Shape

    facts = machine(options.date)
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as folder:
        scratch = Path(folder)
        world = trained(options, scratch, console)
        shape = Shape(cold_share=options.cold, exponent=options.exponent)
        phases = drive.phases_of(options.rate, options.spike, options.length)
        found = drive.run(world, scratch, shape, phases, workers=options.workers)
    finish(options, console, "visitors", {"machine": facts, **found}, report.tables(found))
    if faults := report.faults(found):
        raise SystemExit("\n".join(faults))


def bank(options: argparse.Namespace, console: Console) -> None:
    """Training, quality and serving of the bank's scenario; each part stores its own results."""
    from benchmarks.bank.parts import BANK

    measure_parts(BANK, options, console)


def basket(options: argparse.Namespace, console: Console) -> None:
    """Training, quality and serving of the companions of carts; each part stores its own results."""
    from benchmarks.basket.parts import BASKET

    measure_parts(BASKET, options, console)


def measure_parts(benchmark: InParts, options: argparse.Namespace, console: Console) -> None:
    """Measures the wanted parts of a scenario's benchmark."""
    if options.what == "all":  # --data and --home are the shop's then
        options = argparse.Namespace(**{**vars(options), "data": None, "home": None})
    benchmark.run(options, console.print, lambda table: table.show(console))
    console.print(f"Stored {options.out / benchmark.name}.json and .md")


def trained(options: argparse.Namespace, scratch: Path, console: Console) -> Any:
    """The world that the servers are asked on."""
    from benchmarks.serving import remember
    from benchmarks.world import generated, open_world, train

    home = options.home or scratch / "home"
    if not (home / "mlflow.db").exists():
        data = options.data or generated(options.world, scratch)
        told = (
            f"a generated world of {options.world:,} events" if options.data is None else f"the log {options.data.name}"
        )
        console.print(f"Training on {told} ...")
        home.mkdir(parents=True, exist_ok=True)
        train(data, home)
        remember(home, told)
    return open_world(home, scratch)


def finish(
    options: argparse.Namespace, console: Console, name: str, document: dict[str, Any], tables: list[Table]
) -> None:
    """Prints and stores."""
    for table in tables:
        table.show(console)
    store(options.out, name, document, tables)
    console.print(f"Stored {options.out / name}.json and .md")


if __name__ == "__main__":
    main()
