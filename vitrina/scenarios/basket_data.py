"""The sales of a shop: taken, made baskets of, and cut by time into what is learned from, chosen on and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitrina.scenarios.prepared import write_fingerprint
from vitrina.scenarios.raw_data import asked_data, take_file, validated
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.events.baskets.baskets import Baskets
    from vitrina.events.baskets.splits import BasketSplit


def extract(run: Run) -> dict[str, Any]:
    """Takes the caller's file into the object store as it is, and remembers how its columns are called."""
    from vitrina.events.baskets.columns import BasketColumns
    from vitrina.events.baskets.raw import open_raw_baskets

    data = asked_data(run)
    BasketColumns.parse(run.columns)
    place = open_raw_baskets(data, access=run.access, cache=run.cache)
    return take_file(run, place)


def validate(run: Run) -> dict[str, Any]:
    """Sales to validated baskets; says what was left out, and what the file does not have."""
    from vitrina.events.baskets.columns import BasketColumns
    from vitrina.events.baskets.reader import read_baskets

    report = validated(run, lambda source, *asked: read_baskets(*asked, columns=BasketColumns.parse(source.columns)))
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "rejected": {**report.rejected, **report.dropped},
        "baskets": report.baskets,
        "items": report.items,
        "customers": report.customers,
        "missing": list(report.missing),
    }


def prepare(run: Run) -> dict[str, Any]:
    """Cuts the baskets up to the run's `as_of` by time; without dates all of them, as nothing tells which are later."""
    from vitrina.events.baskets.baskets import Baskets
    from vitrina.events.baskets.splits import BasketSplit

    baskets = whole = Baskets.open(run.local("validated"))
    if run.as_of is not None and not baskets.dated:
        run.note("the sales have no InvoiceDate, so --as-of cannot end them: all are used")
    elif run.as_of is not None:
        baskets = Baskets.open(run.local("validated"), as_of=run.as_of)
    split = BasketSplit.of(baskets)
    pairs = baskets.of_size(2)
    with run.writing("prepared") as folder:
        folder.mkdir()
        split.write(folder)
        write_fingerprint(folder, of=run.local("validated"))
    if not split.judges:
        run.note(split.shortage(pairs))
    return {
        "rows_in": len(whole),
        "rows_out": len(baskets),
        "pairs": len(pairs),
        **dict(zip(("learned", "validation", "test"), split.sizes(pairs), strict=True)),
        "judges": split.judges,
    }


def opened(run: Run) -> tuple[Baskets, BasketSplit]:
    """The baskets up to the end that `prepare` gave them, and how they are cut."""
    from vitrina.events.baskets.baskets import Baskets
    from vitrina.events.baskets.splits import BasketSplit

    split = BasketSplit.read(run.local("prepared"))
    return Baskets.open(run.local("validated"), as_of=split.end), split
