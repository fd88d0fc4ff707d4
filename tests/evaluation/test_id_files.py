"""Files of user ids: read in the model's type and in their order, or refused with file, row and remedy."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vitrina.errors import DataError
from vitrina.evaluation.id_files import id_rows, read_users
from vitrina.events.ids import IdMap

NUMBERS = IdMap([5, 7])
WORDS = IdMap(["a", "ü"])


@pytest.mark.parametrize(
    ("written", "ids", "wanted"),
    [
        ("user_id\n7\n\n5\n7\n9\n", NUMBERS, [7, 5, 7, 9]),
        ("\ufeffvisitorid\r\n5\r\n", NUMBERS, [5]),
        ("rank;Customer_ID;x\n1;ü;y\n2;new one;z\n", WORDS, ["ü", "new one"]),
        ('user\n"a"\n', WORDS, ["a"]),
    ],
)
def test_users_keep_their_order_and_take_the_models_type(
    tmp_path: Path, written: str, ids: IdMap, wanted: list[int | str]
) -> None:
    plain, packed = tmp_path / "users.csv", tmp_path / "users.csv.gz"
    plain.write_text(written, encoding="utf-8")
    packed.write_bytes(gzip.compress(written.encode()))
    assert read_users(plain, ids) == read_users(packed, ids) == wanted


@pytest.mark.parametrize(
    ("written", "where", "says"),
    [
        (b"", "row 1", "names no user column"),
        (b"name\nx\n", "row 1", "customer_id"),
        (b"user\n", "users.csv", "no rows"),
        (b"user\n5\nabc\n", "row 3", "not an integer"),
        (b"user,x\n5,1\n ,2\n", "row 3", "the user is empty"),
        (b"x,user\n1,5\n2\n", "row 3", "1 fields where the header has 2"),
        (b"user\n\xff\xfe\n", "users.csv", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_row(
    tmp_path: Path, written: bytes, where: str, says: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(written)
    with pytest.raises(DataError) as raised:
        read_users(path, NUMBERS)
    assert str(path) in raised.value.where and where in raised.value.where
    assert says in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nobody\.csv"):
        read_users(tmp_path / "nobody.csv", NUMBERS)


def test_optional_columns_follow_and_are_empty_where_the_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "carts.csv"
    wanted, optional = {"cart": ("cart",), "item": ("sku",)}, {"user": ("customer",), "note": ("note",)}
    path.write_text("sku;note;cart\na;x;1\nb;;1\n")
    rows = list(id_rows(path, wanted, optional))
    assert rows == [(2, ("1", "a", "", "x")), (3, ("1", "b", "", ""))]
    assert list(id_rows(path, wanted)) == [(2, ("1", "a")), (3, ("1", "b"))]


@pytest.mark.parametrize("header", ["Cart,Customer ID", "CART,customer_id", " cart , CustomerId", "cart,Customer-ID"])
def test_case_blanks_and_underscores_of_a_name_do_not_matter(tmp_path: Path, header: str) -> None:
    path = tmp_path / "carts.csv"
    path.write_text(f"{header}\n1,ann\n")
    rows = list(id_rows(path, {"cart": ("cart",)}, {"user": ("customer_id", "customerid")}))
    assert rows == [(2, ("1", "ann"))]
