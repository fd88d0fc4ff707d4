"""Precomputed lists of the champion: for everybody active lately, with the histories of all, in the rows of the
champion's ids."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.engine import LocalEngine
from vitrina.errors import NoChampionError
from vitrina.events.ids import IdMap
from vitrina.events.prepare import Prepared
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Histories
from vitrina.features.item_table import user_activity
from vitrina.features.shop import Shop
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.scenarios.scenario import Run
from vitrina.serving.lists import find_lists, publish_lists, write_lists
from vitrina.serving.state import items_fingerprint


def publish_for(run: Run, *, list_length: int, active_days: int) -> dict[str, Any]:
    """Publishes lists of the present champion as of the end of the log; readers see the old ones or the new ones,
    whole. Lists of the champion stay when the log ends before what it has learned from."""
    champion = run.registry.champion()
    if champion is None:
        raise NoChampionError(
            "there is no champion to make lists of. Promote a version first: vitrina promote storefront"
        )
    with tempfile.TemporaryDirectory() as scratch, LocalEngine(memory_limit=run.memory, threads=run.threads) as engine:
        run.registry.fetch(champion.version, Path(scratch) / "model")
        recommender = Recommender.load(read_model(Path(scratch) / "model", verify=False))
        shop = Shop.open(Prepared.open(run.local("prepared")), engine, as_of=run.as_of)
        root, fingerprint = run.key("lists"), items_fingerprint(recommender.items)
        found = find_lists(run.objects, root, model_version=champion.version, items_fingerprint=fingerprint)
        if shop.as_of < recommender.as_of and found is not None:
            run.note(
                f"The lists stay: the champion, version {champion.version}, has learned from newer data than these"
            )
            return {"rows_in": len(shop.log.ts), "rows_out": 0, "lists": 0}
        histories = in_rows_of(recommender.items, shop)
        activity = engine.to_arrow(user_activity(shop.prepared.events(engine), as_of=shop.as_of))
        recent = activity.column("last_ts").to_numpy() >= shop.as_of - active_days * DAY_MS
        active = np.sort(activity.column("user").to_numpy()[recent]).astype(np.int32)
        items, scores = recommender.recommend_batch(
            histories,
            histories.at(active, shop.as_of),
            k=list_length,
            threads=run.threads,
            note=_counted(run, "lists", len(active)),
        )
        list_row = np.full(histories.users, -1, np.int32)
        list_row[active] = np.arange(len(active), dtype=np.int32)
        version = f"{champion.version}-{shop.as_of}"
        with run.objects.writing(f"{root}/{version}") as folder:
            write_lists(
                folder,
                version=version,
                model_version=champion.version,
                items_fingerprint=fingerprint,
                as_of=shop.as_of,
                users=shop.prepared.users,
                list_row=list_row,
                list_items=items,
                list_scores=scores,
                histories=histories,
            )
        publish_lists(run.objects, root, version)
    run.note(f"Published {len(active):,} lists of version {champion.version}")
    return {
        "rows_in": len(histories.items),
        "rows_out": len(active),
        "lists": len(active),
        "users": histories.users,
        "model_version": champion.version,
        "version": version,
    }


def in_rows_of(items: IdMap, shop: Shop) -> Histories:
    """The shop's histories in the item rows of a model, which may know other items; events of items that it does not
    know go."""
    whole = shop.histories
    if items == shop.prepared.items:
        return whole
    row: npt.NDArray[np.int32] = items.rows(_comparable(shop.prepared.items, items))
    moved = row[whole.items]
    known = moved >= 0
    indptr = np.concatenate([[0], np.cumsum(known)])[whole.indptr].astype(np.int64)
    return Histories(indptr=indptr, items=moved[known], kinds=whole.kinds[known], ts=whole.ts[known])


def _comparable(ids: IdMap, other: IdMap) -> Any:
    return ids.ids if ids.ids.dtype == other.ids.dtype else ids.ids_of(np.arange(len(ids)))


def _counted(run: Run, what: str, of: int) -> Any:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        run.progress(what, done, of)

    return count
