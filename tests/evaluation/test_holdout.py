from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import DataError
from vitrina.evaluation.holdout import read_holdout, score_holdout
from vitrina.evaluation.truth import Int32s
from vitrina.events.ids import IdMap

USERS, ITEMS = IdMap([10, 20, 30]), IdMap([100, 200, 300, 400])


def write(folder: Path, text: str, name: str = "holdout.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def test_reads_pairs_and_counts_what_is_unknown(tmp_path: Path) -> None:
    path = write(tmp_path, "user_id,item_id\n20,300\n20,100\n20,100\n10,999\n77,200\n77,888\n78,999\n")
    got = read_holdout(path, users=USERS, items=ITEMS)
    assert got.users.tolist() == [0, 1, -1, -1]
    assert got.truth.row_ids.tolist() == [0, 1, 3, 4]
    assert got.truth.items.tolist() == [4, 0, 2, 1, 5, 4]
    assert got.truth.sizes.tolist() == [1, 2, 2, 1]
    assert (got.pairs, got.repeats) == (6, 1)
    assert (got.unknown_users, got.unknown_items, got.unknown_item_pairs) == (2, 2, 3)
    for piece in ("4 users", "6 pairs", "1 repeated", "2 users (scored", "2 items in 3 pairs"):
        assert piece in got.text()


@pytest.mark.parametrize(
    "text",
    [
        "user,item\n20,100\n",
        "visitorid,itemid\n20,100\n",
        "\ufeffUser_ID, Item_ID \r\n 20 , 100 \r\n\r\n",
        "when;product_id;customer_id\n2015;100;20\n",
        "item\tuser\textra\n100\t20\t\n",
        '"user","item"\n"20","100"\n',
        "user,item\n20,100",
    ],
)
def test_accepted_headers_and_forms(tmp_path: Path, text: str) -> None:
    got = read_holdout(write(tmp_path, text), users=USERS, items=ITEMS)
    assert got.truth.row_ids.tolist() == [1]
    assert got.truth.items.tolist() == [0]


def test_string_ids_and_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "holdout.csv.gz"
    path.write_bytes(gzip.compress("user,sku\nаня,007\nбоб,7\n".encode()))
    got = read_holdout(path, users=IdMap(["аня", "вера"]), items=IdMap(["007", "8"]))
    assert got.users.tolist() == [0, -1]
    assert (got.unknown_users, got.unknown_items) == (1, 1)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("", "row 1", "names no user column"),
        ("user,item\n", "holdout.csv:", "no rows"),
        ("user,price\n1,2\n", "row 1", "names no item column"),
        ("who,item\n1,2\n", "row 1", "Name it user"),
        ("user,item\n20,100\nabc,100\n", "row 3", "'abc' is not an integer"),
        ("user,item\n20,100\n20,1.5\n", "row 3", "item '1.5'"),
        ("user,item\n20,NaN\n", "row 2", "not an integer"),
        ("user,item\n20,99999999999999999999\n", "row 2", "not an integer"),
        ("user,item\n20,100\n\n,100\n", "row 4", "the user is empty"),
        ("user,item\n20\n", "row 2", "1 fields where the header has 2"),
    ],
)
def test_bad_files_name_file_row_and_remedy(tmp_path: Path, text: str, where: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as raised:
        read_holdout(path, users=USERS, items=ITEMS)
    assert str(raised.value).startswith(str(path))
    assert where in str(raised.value)
    assert says in str(raised.value)
    assert raised.value.remedy


def test_unreadable_files(tmp_path: Path) -> None:
    whole = gzip.compress(b"user,item\n" + b"20,100\n" * 5000)
    half, latin, wide = tmp_path / "half.csv.gz", tmp_path / "latin.csv", tmp_path / "wide.csv"
    half.write_bytes(whole[: len(whole) // 2])
    latin.write_bytes(b"user,item\n20,\xff\xfe\n")
    wide.write_text("user,item\n20," + "9" * 200_000 + "\n")
    plain = tmp_path / "plain.csv.gz"
    plain.write_text("user,item\n20,100\n")
    for path, says in (
        (half, "cannot be read"),
        (plain, "cannot be read"),
        (latin, "not UTF-8"),
        (wide, "not CSV"),
        (tmp_path / "absent.csv", "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(DataError, match=says):
            read_holdout(path, users=USERS, items=ITEMS)


def test_scores_everybody_and_the_known_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item\n10,100\n20,100\n20,555\n99,400\n98,555\n")
    asked: list[list[int]] = []

    def recommend(users: Int32s, k: int) -> Int32s:
        asked.append(users.tolist())
        return np.array([[3, 2] if user < 0 else [0, 1] for user in users], dtype=np.int32)

    got = score_holdout(read_holdout(path, users=USERS, items=ITEMS), recommend, ks=(1, 2))
    assert asked == [[0, 1, -1, -1]]
    assert got.every_user.values["hr@2"].tolist() == [1, 1, 1, 0]
    assert got.every_user.values["recall@2"].tolist() == [1, 0.5, 1, 0]
    assert got.known_users is not None
    assert got.known_users.mean("recall@2") == 0.75
    plain = json.loads(json.dumps(got.as_json()))
    assert plain["unknown_users"] == 2
    assert plain["metrics"]["hr@1"] == 0.75
    assert plain["metrics_known_users"]["hr@1"] == 1.0


def test_a_file_of_strangers_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item\n99,100\n")
    got = score_holdout(
        read_holdout(path, users=USERS, items=ITEMS),
        lambda users, k: np.zeros((len(users), k), dtype=np.int32),
        ks=(1,),
    )
    assert got.known_users is None
    assert got.as_json()["metrics_known_users"] is None
    assert got.every_user.mean("hr@1") == 1.0
