from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from vitrina.evaluation.backtest import backtest
from vitrina.evaluation.gate import Gate
from vitrina.evaluation.sequential import evaluate_sequential, instances
from vitrina.evaluation.truth import EventArrays, Int32s, Int64s, Touched
from vitrina.events.schema import KIND_OF
from vitrina.events.splits import Window, rolling_windows
from vitrina.features.history import Histories

BEFORE = 1_441_065_600_000  # 2015-09-01
CUTS = rolling_windows(BEFORE, 5)


@pytest.fixture(scope="module")
def log(data_dir: Path) -> EventArrays:
    raw = pacsv.read_csv(data_dir / "retailrocket" / "events.csv.gz")
    user = np.unique(raw["visitorid"].to_numpy(), return_inverse=True)[1].astype(np.int32)
    item = np.unique(raw["itemid"].to_numpy(), return_inverse=True)[1].astype(np.int32)
    kind = np.array([KIND_OF[name] for name in raw["event"].cast(pa.string()).to_pylist()], dtype=np.int8)
    ts = raw["timestamp"].cast(pa.int64()).to_numpy()
    order = np.lexsort((ts, user))
    return EventArrays(user=user[order], item=item[order], kind=kind[order], ts=ts[order])


@dataclass(frozen=True)
class Popular:
    log: EventArrays

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        past = self.log.between(None, window.start)
        ranked = np.argsort(-np.bincount(past.item), kind="stable").astype(np.int32)
        deep = np.tile(ranked[: k + 300], (len(users), 1))
        return (Touched(past.user, past.item).removed_from(deep, users) if new_only else deep)[:, :k]


def distinct_recent(history: Int32s, k: int) -> Int32s:
    _, first = np.unique(history, return_index=True)
    distinct = history[np.sort(first)][:k]
    return np.pad(distinct, (0, k - len(distinct)), constant_values=-1).astype(np.int32)


@dataclass(frozen=True)
class OwnRecent:
    log: EventArrays

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        past = self.log.between(None, window.start)
        histories = Histories.from_events(past.user, past.item, past.kind, past.ts, users=int(past.user.max()) + 1)
        return np.stack([distinct_recent(histories.of(user).items, k) for user in users])


class OwnRecentNow:
    def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
        return np.stack([distinct_recent(histories.of(row).items, k) for row in range(len(as_of))])


def test_known_baselines_score_what_is_known_of_them(log: EventArrays) -> None:
    """Popular and own-recent were measured elsewhere on cuts of the same season: NDCG@10 about .020 and .048."""
    n_items = int(log.item.max()) + 1
    result = backtest({"popular": Popular(log), "own": OwnRecent(log)}, CUTS, log, n_items=n_items)
    repeats, new = result["repeats"], result["new"]
    assert 300 < repeats["popular"].users < len(repeats["popular"])
    assert repeats["popular"].mean("ndcg@10") == pytest.approx(0.020, abs=0.006)
    assert repeats["own"].mean("ndcg@10") == pytest.approx(0.048, abs=0.012)
    assert new["popular"].mean("hr@100") == pytest.approx(0.20, abs=0.04)
    assert new["own"].mean("hr@100") == 0.0
    assert repeats["own"].lists["novelty@10"] > repeats["popular"].lists["novelty@10"] + 2
    assert Gate().decide(repeats["own"], None, {"popular": repeats["popular"]}).promote
    assert Gate().decide(new["own"], None, {"popular": new["popular"]}).winner == "popular"


def test_fresh_history_is_worth_more_than_an_old_one(log: EventArrays) -> None:
    found = instances(log, start=CUTS[-1].start, end=CUTS[-1].end, task="repeats")
    scores = evaluate_sequential({"own": OwnRecentNow()}, found, task="repeats", ks=(10,))["own"]
    assert scores.mean("hr@10") > 0.3
    new = instances(log, start=CUTS[-1].start, end=CUTS[-1].end, task="new")
    assert 0 < len(new) < len(found)
