"""The winner as a model folder, and the record of how it was made: parameters, metrics, pictures, a sample of the
data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from vitrina.candidates.retrieval import Tables
from vitrina.evaluation.recipes import assemble
from vitrina.evaluation.report import Scores
from vitrina.features.shop import Shop
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.trees import NO_TREES, Trees
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.recommender import Catalogue
from vitrina.recommend.stored import gathered
from vitrina.recommend.two_stage import TwoStage
from vitrina.registry import figures
from vitrina.registry.git_commit import git_commit
from vitrina.registry.model_format import StoredModel, read_model, write_model
from vitrina.registry.registry import RunRecord
from vitrina.scenarios.prepared import Origin, mixed
from vitrina.scenarios.publication import tags_of
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.winner import Winner

SAMPLE_ROWS = 1_000


def require_one_run(run: Run, shop: Shop, spec: TwoStage, verdict: dict[str, Any]) -> None:
    """`DataError` unless what the steps before left is of this log and, where it depends on that, of this recipe."""
    learned = read_model(run.local("ranker"), verify=False).meta
    made = {
        "candidates": json.loads(run.objects.get_bytes(run.key("recall.json"))),
        "ranker": learned,
        "evaluate": verdict,
        "drift": json.loads((run.local("drift") / "drift.json").read_text()),
    }
    Origin.of(shop.prepared.folder, shop.as_of).require(run, made)
    if TwoStage.from_json(learned["recipe"]) != spec:
        raise mixed(run, "ranker", "was learned by another recipe than the candidate's")


def write_winner(
    run: Run,
    shop: Shop,
    winner: Winner[TwoStage],
    tables: Tables,
    *,
    ranker: Path,
    as_of: int,
    verdict: dict[str, Any],
    scratch: Path,
) -> tuple[Path, RunRecord]:
    """Writes the model folder under `scratch` and returns it with its record. `ranker` is the folder of the rankers
    that the recipe learned, or of any other's where it orders without."""
    learned = read_model(ranker)
    origin = Origin.of(shop.prepared.folder, shop.as_of)
    spec, name = winner.recipe, winner.recipe.ranker_name
    if name == "catboost" and not learned.meta["learned"]:
        name = "fusion"
    ranked = name == "catboost"
    trees = gathered(Trees, learned.arrays) if ranked else NO_TREES
    recommender = assemble(
        spec,
        tables,
        trees,
        ranker=name,
        as_of=as_of,
        items=shop.prepared.items,
        catalogue=Catalogue(
            category=tables.category,
            categories=shop.categories,
            parent=shop.parent,
            available=shop.available(as_of),
            titles=shop.titles(),
        ),
    )
    metrics = measured(run, winner.judged)
    meta = describe(recommender, name) | {
        "scenario": run.scenario,
        "recipe": {**spec.as_json(), "ranker_name": name},
        "user_kind": shop.prepared.users.kind,
        "fingerprint": origin.fingerprint,
        "metrics": metrics,
    }
    folder = scratch / "model"
    write_model(folder, arrays=pack(recommender), files=learned.files if ranked else {}, meta=meta)
    return folder, RunRecord(
        fingerprint=origin.fingerprint,
        params={**spec.params(), "winner": name, "as_of": as_of, "events": len(shop.log.ts)},
        metrics=metrics | drift_metrics(run),
        tags=tags_of(run, name, verdict),
        figures=pictures(run, learned, scratch),
        tables={"quality": run.local("evaluation") / "table.md", "verdict": run.local("evaluation") / "verdict.json"},
        reports={f"drift/{name}": run.local("drift") / name for name in ("report.html", "drift.json")},
        data_sample=sample(shop, scratch / "sample.csv"),
        git_commit=git_commit(),
        features=list(FEATURES) if ranked else [],
    )


def measured(run: Run, judged: str) -> dict[str, float]:
    """The winner's pooled metrics, the other recipes' NDCG@10, and candidate recall by source."""
    scores = {path.stem: Scores.load(path) for path in sorted(run.local("evaluation").glob("*.npz"))}
    winner = scores[judged]
    recall = json.loads(run.objects.get_bytes(run.key("recall.json")))
    found = {name: float(value) for name, value in winner.means().items()} | dict(winner.lists)
    found |= {f"{name}/ndcg@10": float(one.mean("ndcg@10")) for name, one in scores.items()}
    found |= {f"recall/{source}": value for source, value in recall["by_source"].items()}
    return found | {"recall/union": recall["union"]}


def drift_metrics(run: Run) -> dict[str, float]:
    """The number of drifted features, and the index of each that was judged."""
    told = json.loads((run.local("drift") / "drift.json").read_text())
    if not told["judged"]:
        return {}
    found = {f"drift/psi/{name}": float(one["psi"]) for name, one in told["features"].items()}
    return found | {"drift/drifted_features": float(len(told["drifted"]))}


def pictures(run: Run, learned: StoredModel, scratch: Path) -> dict[str, Path]:
    """Candidate recall per source; with learned rankers also the learning curve and feature importance of each."""
    recall = json.loads(run.objects.get_bytes(run.key("recall.json")))
    drawn = {"recall_per_source": figures.recall(recall["by_source"], recall["union"], scratch / "recall.png")}
    for name, one in learned.meta.get("rankers", {}).items():
        drawn[f"learning_curve_{name}"] = figures.learning_curve(
            learned.arrays[f"curve_{name}"], one["loss"], scratch / f"learning_curve_{name}.png"
        )
        drawn[f"feature_importance_{name}"] = figures.importance(one["importance"], scratch / f"importance_{name}.png")
    return drawn


def sample(shop: Shop, path: Path) -> Path:
    """Evenly spaced rows of the log with the shop's own ids, as CSV."""
    rows = np.unique(np.linspace(0, len(shop.log.ts) - 1, min(SAMPLE_ROWS, len(shop.log.ts))).astype(np.int64))
    table = pa.table(
        {
            "user_id": shop.prepared.users.ids_of(shop.log.user[rows]),
            "item_id": shop.prepared.items.ids_of(shop.log.item[rows]),
            "kind": shop.log.kind[rows],
            "ts": pc.cast(pa.array(shop.log.ts[rows]), pa.timestamp("ms")),
        }
    )
    csv.write_csv(table, path)
    return path
