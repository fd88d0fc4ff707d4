from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vitrina.evaluation.bootstrap import Interval
from vitrina.evaluation.report import Scores, Table
from vitrina.evaluation.truth import Truth


def scores(values: list[float], users: list[int] | None = None, coverage: float | None = None) -> Scores:
    clusters = np.array(range(len(values)) if users is None else users, dtype=np.int64)
    lists = {} if coverage is None else {"coverage@10": coverage}
    return Scores(values={"ndcg@10": np.array(values)}, clusters=clusters, lists=lists)


def test_of_scores_lists_against_truth() -> None:
    truth = Truth.from_pairs(np.array([3, 8], dtype=np.int32), np.array([1, 2], dtype=np.int32))
    got = Scores.of(np.array([[1, 0], [0, 1]], dtype=np.int32), truth, (1, 2), counts=np.array([5, 4, 3]))
    assert got.clusters.tolist() == [3, 8]
    assert got.mean("hr@2") == 0.5
    assert got.mean("coverage@2") == pytest.approx(2 / 3)
    assert {"ndcg@1", "mrr@2", "novelty@1"} <= got.means().keys()


def test_pooling_keeps_users_and_weighs_list_metrics_by_rows() -> None:
    pooled = Scores.pool([scores([1.0, 0.0, 0.0], [4, 5, 6], coverage=0.1), scores([1.0], [4], coverage=0.5)])
    assert pooled.mean("ndcg@10") == 0.5
    assert (len(pooled), pooled.users) == (4, 3)
    assert pooled.mean("coverage@10") == pytest.approx(0.2)
    with pytest.raises(ValueError, match="same metrics"):
        Scores.pool([pooled, Scores(values={}, clusters=np.arange(0))])
    with pytest.raises(ValueError, match="at least one"):
        Scores.pool([])


def test_saved_scores_come_back_equal(tmp_path: Path) -> None:
    before = scores([0.25, 1.0], [7, 9], coverage=0.5)
    before.save(tmp_path / "als.npz")
    after = Scores.load(tmp_path / "als.npz")
    np.testing.assert_array_equal(after.clusters, before.clusters)
    np.testing.assert_array_equal(after.values["ndcg@10"], before.values["ndcg@10"])
    assert (after.values.keys(), after.lists) == (before.values.keys(), before.lists)


def test_minus_pairs_the_same_rows_only() -> None:
    assert scores([1.0, 0.5]).minus(scores([0.5, 0.0]), "ndcg@10") == Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="same users"):
        scores([1.0, 0.5], [0, 1]).minus(scores([1.0, 0.5], [1, 0]), "ndcg@10")
    with pytest.raises(ValueError, match="no metric 'hr@10' among ndcg@10"):
        scores([1.0]).mean("hr@10")


def test_broken_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        scores([float("nan")])
    with pytest.raises(ValueError, match="for 1 rows"):
        scores([1.0, 2.0], [0])


def test_the_table_in_three_forms() -> None:
    table = Table.of(
        "new items",
        {"als": scores([0.0, 1.0] * 20, coverage=0.25), "popular": scores([0.0] * 40, coverage=0.01)},
        ["ndcg@10", "coverage@10"],
    )
    lines = table.markdown().splitlines()
    assert lines[2] == "| model | ndcg@10 | coverage@10 |"
    assert lines[4].startswith("| als | **0.5000 ± 0.1")
    assert lines[4].endswith("| 0.25 |")
    assert lines[5] == "| popular | 0.0000 ± 0.0000 | 0.01 |"
    assert "40 users, 40 cases" in lines[-1]
    read = json.loads(table.to_json())
    assert read["models"]["als"]["ndcg@10"]["mean"] == 0.5
    assert read["models"]["als"]["ndcg@10"]["low"] < 0.5 < read["models"]["als"]["ndcg@10"]["high"]
    assert read["models"]["popular"]["coverage@10"] == 0.01
    shown = io.StringIO()
    Console(file=shown, width=100).print(table.rich())
    for piece in ("new items", "als", "0.5000 ±", "coverage@10", "0.25"):
        assert piece in shown.getvalue()


def test_a_table_of_different_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="same users"):
        Table.of("t", {"a": scores([1.0], [0]), "b": scores([1.0], [1])}, ["ndcg@10"])
    with pytest.raises(ValueError, match="at least one model"):
        Table.of("t", {}, ["ndcg@10"])
