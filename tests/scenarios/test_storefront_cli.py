"""A generated world through the command line, with the embedded MLflow: train, ask, list, score, promote, refuse."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vitrina.cli import main
from vitrina.storage.objects import FolderObjects

pytestmark = pytest.mark.slow


class Said(NamedTuple):
    """Exit code, standard output read as JSON when it is, and standard error."""

    code: int
    out: Any
    err: str


Vitrina = Callable[..., Said]


@pytest.fixture(scope="module")
def vitrina(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vitrina]:
    """Runs `vitrina ... --json` in this process, over one state folder for all tests of the file (`vitrina.home`)."""
    home = tmp_path_factory.mktemp("cli") / "home"
    before = signal.getsignal(signal.SIGINT)

    def run(*arguments: object) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr(sys, "argv", ["vitrina", *map(str, arguments), "--json"])
            patch.setenv("VITRINA_HOME", str(home))
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        text = out.getvalue()
        return Said(code, json.loads(text) if text else None, err.getvalue())

    run.home = home  # type: ignore[attr-defined]  # where the tests look for what was written
    yield run
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def trained(vitrina: Vitrina, world: Path, small_recipe: Callable[[FolderObjects], None]) -> Said:
    small_recipe(FolderObjects(objects(vitrina)))
    return vitrina("train", "storefront", "--data", world, "--run-id", "daily-1")


@pytest.fixture(scope="module")
def touched(world: Path, trained: Said) -> dict[str, set[str]]:
    """Items by visitor, read from the raw file."""
    found: dict[str, set[str]] = {}
    with (world / "events.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["visitorid"], set()).add(row["itemid"])
    return found


def served(vitrina: Vitrina) -> dict[str, str]:
    """The part of `snapshot` that answers come from: models and lists."""
    return {path: digest for path, digest in snapshot(vitrina).items() if "mlartifacts" in path or "lists" in path}


def objects(vitrina: Vitrina) -> Path:
    return vitrina.home / "objects"  # type: ignore[attr-defined]


def snapshot(vitrina: Vitrina) -> dict[str, str]:
    """Digest of everything that serves or that the next step reads, except the log as it was last taken in."""
    home: Path = vitrina.home  # type: ignore[attr-defined]
    raw = objects(vitrina) / ".folders" / "storefront~raw"
    files = [
        path for root in (home / "objects", home / "mlartifacts") for path in sorted(root.rglob("*")) if path.is_file()
    ]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if raw not in path.parents and not path.is_symlink()
    }


def read_lists(path: Path) -> dict[str, list[tuple[str, int, float]]]:
    lists: dict[str, list[tuple[str, int, float]]] = {}
    with path.open() as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == ["user", "item", "rank", "score"]
        for row in reader:
            lists.setdefault(row["user"], []).append((row["item"], int(row["rank"]), float(row["score"])))
    return lists


def test_the_run_in_mlflow_names_the_training(vitrina: Vitrina, trained: Said) -> None:
    with contextlib.closing(sqlite3.connect(vitrina.home / "mlflow.db")) as database:  # type: ignore[attr-defined]
        tags = dict(database.execute("SELECT key, value FROM tags WHERE key LIKE 'vitrina.%'"))
    assert (tags["vitrina.run_id"], tags["vitrina.scenario"]) == ("daily-1", "storefront")


def test_training_ends_with_a_champion_and_lists(vitrina: Vitrina, trained: Said) -> None:
    assert trained.code == 0, trained.err
    assert list(trained.out) == [
        "extract", "validate", "prepare", "candidates", "ranker", "evaluate", "drift", "register", "promote", "publish",
    ]  # fmt: skip
    assert trained.out["promote"]["promoted"] is True
    assert trained.out["register"]["version"] == trained.out["promote"]["champion"] == "1"
    assert trained.out["validate"]["rows_out"] + trained.out["validate"]["duplicates"] <= 8_000
    assert trained.out["publish"]["users"] == trained.out["prepare"]["users"]
    assert trained.out["publish"]["lists"] > 0


def test_recommend_answers_known_and_unknown_visitors(vitrina: Vitrina, touched: dict[str, set[str]]) -> None:
    user = max(touched, key=lambda one: len(touched[one]))
    said = vitrina("recommend", "storefront", "--user-id", user, "--k", 7)
    assert said.code == 0, said.err
    assert said.out["known"] is True and said.out["model_version"] == "1"
    assert len(said.out["recs"]) == len(said.out["scores"]) == len(said.out["sources"]) == 7
    assert said.out["scores"] == sorted(said.out["scores"], reverse=True)
    stranger = vitrina("recommend", "storefront", "--user-id", 999_999, "--k", 7).out
    assert stranger["known"] is False and len(stranger["recs"]) == 7
    assert "own_history" not in stranger["sources"]
    seen = stranger["recs"][3]
    session = vitrina("recommend", "storefront", "--user-id", 999_999, "--k", 7, "--session", seen).out
    assert session["sources"][session["recs"].index(seen)] == "own_history"


def test_batch_writes_the_lists(vitrina: Vitrina, touched: dict[str, set[str]], tmp_path: Path) -> None:
    users = [*sorted(touched)[:40], "999999"]
    (tmp_path / "users.csv").write_text("user_id\n" + "\n".join(users) + "\n")
    said = vitrina("batch", "storefront", "--users", tmp_path / "users.csv", "--k", 20, "--out", tmp_path / "recs.csv")
    assert (said.code, said.out["users"], said.out["unknown"]) == (0, 41, 1), said.err
    lists = read_lists(tmp_path / "recs.csv")
    assert list(lists) == users
    for rows in lists.values():
        assert [rank for _, rank, _ in rows] == list(range(1, 21))
        assert len({item for item, _, _ in rows}) == 20
        scores = [score for _, _, score in rows]
        assert scores == sorted(scores, reverse=True)
    alone = vitrina("recommend", "storefront", "--user-id", users[0], "--k", 20).out
    assert [item for item, _, _ in lists[users[0]]] == [str(item) for item in alone["recs"]]


def test_new_only_leaves_out_what_was_touched(vitrina: Vitrina, touched: dict[str, set[str]], tmp_path: Path) -> None:
    known = {user: items for user, items in touched.items() if len(items) < 50}
    users = sorted(known, key=lambda one: -len(known[one]))[:40]
    (tmp_path / "users.csv").write_text("user_id\n" + "\n".join(users) + "\n")
    ask = ("batch", "storefront", "--users", tmp_path / "users.csv", "--k", 30, "--out")
    assert vitrina(*ask, tmp_path / "all.csv").code == vitrina(*ask, tmp_path / "new.csv", "--new-only").code == 0
    again = sum(item in touched[user] for user, rows in read_lists(tmp_path / "all.csv").items() for item, _, _ in rows)
    new = sum(item in touched[user] for user, rows in read_lists(tmp_path / "new.csv").items() for item, _, _ in rows)
    assert again > 0 and new == 0


def test_a_holdout_is_scored_as_planted(vitrina: Vitrina, touched: dict[str, set[str]], tmp_path: Path) -> None:
    """Half of the users want exactly what stands first on their list, the others something that nobody sells."""
    users = sorted(touched)[:10]
    lines = ["user_id,item_id"]
    for place, user in enumerate(users):
        best = vitrina("recommend", "storefront", "--user-id", user, "--k", 1).out["recs"][0]
        lines.append(f"{user},{best if place % 2 else 888_888_888}")
    (tmp_path / "holdout.csv").write_text("\n".join(lines) + "\n")
    said = vitrina("evaluate", "storefront", "--holdout", tmp_path / "holdout.csv", "--k", 10)
    assert said.code == 0, said.err
    text = json.dumps(said.out)
    assert said.out["model_version"] == "1"
    assert find(said.out, "hr@10") == pytest.approx(0.5), text
    assert find(said.out, "ndcg@10") == pytest.approx(0.5), text


def find(tree: Any, name: str) -> float:
    """The first number (or mean) called `name` in nested dictionaries."""
    if isinstance(tree, dict):
        if name in tree:
            value = tree[name]
            return float(value["mean"]) if isinstance(value, dict) else float(value)
        for branch in tree.values():
            value = find(branch, name)
            if value == value:
                return value
    return float("nan")


def test_the_last_backtest_is_shown(vitrina: Vitrina, trained: Said) -> None:
    said = vitrina("evaluate", "storefront")
    assert said.code == 0 and {"candidate", "popular", "item_knn"} <= set(
        json.dumps(said.out).replace('"', " ").split()
    )


GOOD = "1430000000000,1,view,2,\n"
HEADER = "timestamp,visitorid,event,itemid,transactionid\n"


@pytest.mark.parametrize(
    ("name", "written", "more", "says"),
    [
        ("events.csv", b"", (), "empty"),
        ("events.csv", HEADER.encode(), (), "events.csv"),
        ("events.csv", b"when,who,what,which\n1,2,view,3\n", (), "timestamp"),
        ("events.csv.gz", gzip.compress((HEADER + GOOD * 5_000).encode())[:-40], (), "events.csv.gz"),
        (
            "events.csv",
            (HEADER + GOOD).encode(),
            ("--columns", "user=customer,item=sku,event=type,timestamp=ts"),
            "customer",
        ),
        ("events.csv", (HEADER + GOOD).encode(), ("--columns", "user:customer"), "--columns"),
        ("events.csv", (HEADER + GOOD).encode(), ("--as-of", "soon"), "--as-of"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    name: str, written: bytes, more: tuple[str, ...], says: str, vitrina: Vitrina, trained: Said, tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / name).write_bytes(written)
    before = snapshot(vitrina)
    said = vitrina("train", "storefront", "--data", tmp_path / "log", *more)
    assert said.code == 2, said
    assert says in said.out["error"]["reason"] and says in said.err
    assert "Traceback" not in said.err
    assert snapshot(vitrina) == before
    assert vitrina("recommend", "storefront", "--user-id", 1).out["model_version"] == "1"


def test_a_time_before_the_log_is_refused_before_anything_is_served(
    vitrina: Vitrina, trained: Said, world: Path
) -> None:
    before = served(vitrina)
    assert before
    said = vitrina("train", "storefront", "--data", world, "--as-of", "2001-01-01")
    assert said.code == 2 and "as_of" in said.out["error"]["reason"]
    assert served(vitrina) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "storefront", "--data", "no/such/place"), "no/such/place"),
        (("train", "shopfront", "--data", "."), "shopfront"),
        (("step", "storefront", "extrakt"), "extrakt"),
        (("batch", "storefront", "--users", "nobody.csv", "--out", "out.csv"), "nobody.csv"),
        (("evaluate", "storefront", "--holdout", "nothing.csv"), "nothing.csv"),
        (("recommend", "storefront", "--user-id", "1", "--session", "777777777"), "777777777"),
    ],
)
def test_what_does_not_exist_is_named(arguments: tuple[str, ...], says: str, vitrina: Vitrina, trained: Said) -> None:
    before = snapshot(vitrina)
    said = vitrina(*arguments)
    assert said.code == 2 and says in said.out["error"]["reason"], said
    assert snapshot(vitrina) == before


def test_promote_and_rollback_move_the_champion(vitrina: Vitrina, world: Path, trained: Said) -> None:
    for name in ("extract", "validate", "prepare"):  # refused input may lie in the store
        assert vitrina("step", "storefront", name, "--data", world).code == 0
    assert vitrina("step", "storefront", "register").out["version"] == "1", "the same model is the same version"
    mixed = vitrina("step", "storefront", "register", "--as-of", "2015-07-08")
    assert mixed.code == 2 and "again from `candidates`" in mixed.out["error"]["reason"]
    older = vitrina("train", "storefront", "--data", world, "--as-of", "2015-07-08")
    assert older.out["promote"] | {"seconds": 0} == {
        "promoted": False,
        "challenger": "2",
        "champion": "1",
        "seconds": 0,
    }
    assert older.out["publish"]["lists"] == 0, "those of newer data stay"
    assert vitrina("promote", "storefront").out == {"champion": "2"}
    # the lists of version 1 know the same items, so that their histories serve until new ones are published
    assert vitrina("recommend", "storefront", "--user-id", 1).out["model_version"] == "2"
    assert vitrina("step", "storefront", "publish").out["model_version"] == "2"
    assert vitrina("recommend", "storefront", "--user-id", 1).out["model_version"] == "2"
    assert vitrina("rollback", "storefront").out == {"champion": "1"}
    assert vitrina("recommend", "storefront", "--user-id", 1).out["model_version"] == "1"
    assert vitrina("promote", "storefront", "--version", "2").out == {"champion": "2"}
    assert vitrina("promote", "storefront", "--version", "99").code == 1
