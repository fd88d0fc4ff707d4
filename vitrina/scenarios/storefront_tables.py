"""The candidate sources of each cut-off as objects, named by what they were made from."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from vitrina.scenarios.prepared import Origin
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.candidates.retrieval import Tables
    from vitrina.features.shop import Shop
    from vitrina.recommend.two_stage import TwoStage


def tables_at(run: Run, shop: Shop, spec: TwoStage, cut: int) -> Tables:
    """The candidate sources of one cut-off, fitted once and kept under `sources/`."""
    from vitrina.candidates.retrieval import Tables
    from vitrina.recommend.stored import gathered
    from vitrina.registry.model_format import read_model, write_model

    name = f"sources/{tables_name(shop, spec, cut)}"
    if not run.objects.exists(run.key(name)):
        fitted = spec.sources.fit(
            shop.past(cut), shop.parent, note=lambda what: run.note(f"sources as of {_day(cut)}: {what}")
        )
        with run.writing(name) as folder:
            write_model(folder, arrays=fitted._asdict(), files={}, meta={"as_of": cut})
    return gathered(Tables, read_model(run.local(name), verify=False).arrays)


def has_tables(run: Run, shop: Shop, spec: TwoStage, cut: int) -> bool:
    """Whether the candidate sources of a cut-off are kept."""
    return run.objects.exists(run.key(f"sources/{tables_name(shop, spec, cut)}"))


def tables_name(shop: Shop, spec: TwoStage, cut: int) -> str:
    """The name of a cut-off's tables: another for another log or other sources."""
    from vitrina.candidates.retrieval import Tables

    made_by = {**spec.as_json()["sources"], "taste": None}  # taste asks, and fits nothing
    data = Origin.of(shop.prepared.folder, shop.as_of).fingerprint
    origin = f"{data} {Tables._fields} {json.dumps(made_by, sort_keys=True)}"
    return f"{cut}-{hashlib.sha256(origin.encode()).hexdigest()[:12]}"


def keep_tables(run: Run, names: set[str]) -> None:
    """Removes all tables but those of these names."""
    for key in run.objects.list(run.key("sources")):
        if key.rpartition("/")[2] not in names:
            run.objects.delete(key)


def _day(ts: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d")
