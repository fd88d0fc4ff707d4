"""What a message says, and that Telegram can take it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest
from steps.messages import LONGEST, Outcome, text_of

TRAINED: dict[str, dict[str, Any]] = {
    "evaluate": {
        "reasons": ["candidate 0.31 against popular 0.20, passed"],
        "ndcg@10": {"popular": 0.2, "candidate": 0.31234, "item_knn": float("nan")},
    },
    "register": {"version": "7", "winner": "catboost"},
    "promote": {"promoted": True, "champion": "7", "before": "6"},
}
OUTCOME = Outcome(
    scenario="storefront",
    as_of="2015-09-01",
    results=TRAINED,
    complete=True,
    failed=None,
    reason=None,
    run_page="http://airflow.example.org/dags/storefront/runs/manual__1",
    log_page="http://airflow.example.org/dags/storefront/runs/manual__1/tasks/ranker",
    model_pages="http://mlflow.example.org/#/models/ranking_model/versions",
)


def test_a_promotion_says_which_version_why_and_where() -> None:
    text = text_of(OUTCOME)
    assert text.startswith(
        "<b>storefront: version 7 is the new champion</b>\ndata before 2015-09-01, model: catboost\n"
    )
    table = re.search("<pre>(.*)</pre>", text, re.DOTALL)
    assert table is not None
    assert [line.split() for line in table[1].splitlines()] == [
        ["recipe", "NDCG@10"],
        ["candidate", "0.3123"],
        ["popular", "0.2000"],
        ["item_knn", "nan"],
    ]
    assert "candidate 0.31 against popular 0.20, passed" in text
    assert '<a href="http://mlflow.example.org/#/models/ranking_model/versions/7">model version 7</a>' in text
    assert '<a href="http://airflow.example.org/dags/storefront/runs/manual__1">Airflow run</a>' in text


def test_the_table_is_that_of_the_metric_that_the_gate_decides_by() -> None:
    results = TRAINED | {"evaluate": {"reasons": ["lags 0.0321 against popularity 0.0212, passed"]}}
    results["evaluate"]["map@7"] = {"popularity": 0.0212, "lags": 0.0321}
    text = text_of(replace(OUTCOME, scenario="bank_products", results=results))
    table = re.search("<pre>(.*)</pre>", text, re.DOTALL)
    assert table is not None
    assert [line.split() for line in table[1].splitlines()] == [
        ["recipe", "MAP@7"],
        ["lags", "0.0321"],
        ["popularity", "0.0212"],
    ]
    assert "lags 0.0321 against popularity 0.0212, passed" in text


def test_a_refusal_says_what_stays() -> None:
    refused = TRAINED | {"promote": {"promoted": False, "champion": "6"}}
    assert "version 7 is not promoted, champion stays version 6" in text_of(replace(OUTCOME, results=refused))
    nobody = TRAINED | {"promote": {"promoted": False, "champion": None}}
    assert "version 7 is not promoted, there is no champion" in text_of(replace(OUTCOME, results=nobody))


def test_a_champion_fitted_anew_is_not_said_to_be_new() -> None:
    stays = {"judged": "champion", **TRAINED["register"]}
    text = text_of(replace(OUTCOME, results=TRAINED | {"register": stays}))
    assert "the champion's recipe stays, version 7 is fitted anew" in html.unescape(text)
    assert "new champion" not in text


def test_a_challenger_is_said_to_wait() -> None:
    waiting = TRAINED | {"promote": {"promoted": False, "challenger": "7", "champion": "6"}}
    text = text_of(replace(OUTCOME, results=waiting))
    assert "version 7 waits as challenger, champion stays version 6" in text


def test_a_failure_says_the_task_the_reason_and_the_log() -> None:
    text = text_of(replace(OUTCOME, complete=False, failed="ranker", reason="row <7> & more"))
    assert "the task ranker failed" in text
    assert "row &lt;7&gt; &amp; more" in text
    assert '/tasks/ranker">log</a>' in text
    silent = text_of(replace(OUTCOME, complete=False, failed="ranker", reason=None))
    assert "killed, ran out of memory" in silent


@pytest.mark.parametrize("piece", ["<&>", "x", "\N{PILE OF POO}", "wört "])
def test_a_long_reason_is_cut_and_nothing_else_is(piece: str) -> None:
    text = text_of(replace(OUTCOME, complete=False, failed="ranker", reason=piece * 5000))
    assert LONGEST - 8 <= len(text.encode("utf-16-le")) // 2 <= LONGEST
    assert text.endswith('/tasks/ranker">log</a>')
    assert re.sub(r"&(lt|gt|amp);", "", re.sub(r"</?(b|a)\b[^>]*>", "", text)).count("&") == 0
    assert html.unescape(text).count("…") == 1
