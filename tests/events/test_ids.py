"""An IdMap keeps every id, finds it again, and knows no other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrina.errors import DataError
from vitrina.events.ids import IdMap

INTS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
TEXTS = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=32
).filter(lambda text: len(text.encode()) <= 128)


def in_order(ids: Sequence[Any]) -> list[Any]:
    return sorted(set(ids), key=lambda one: one.encode() if isinstance(one, str) else one)


@given(ids=st.lists(INTS, max_size=50) | st.lists(TEXTS, min_size=1, max_size=50))
def test_every_id_is_found_again_and_rows_follow_the_sorted_order(ids: list[int] | list[str]) -> None:
    known = IdMap(ids)
    order = in_order(ids)
    assert len(known) == len(order)
    assert known.ids_of(np.arange(len(known))) == order
    assert [known.index_of(one) for one in order] == list(range(len(order)))
    np.testing.assert_array_equal(known.rows(ids), [order.index(one) for one in ids])
    assert [known.id_of(row) for row in range(len(known))] == order


@given(ids=st.lists(INTS, max_size=20), other=INTS | TEXTS)
def test_an_id_outside_an_int_map_is_unknown(ids: list[int], other: int | str) -> None:
    expected = sorted(set(ids)).index(int(other)) if str(other) in [str(one) for one in ids] else -1
    assert IdMap(ids).index_of(other) == expected


@given(ids=st.lists(TEXTS, min_size=1, max_size=20), other=st.text(max_size=200) | INTS)
def test_an_id_outside_a_string_map_is_unknown(ids: list[str], other: int | str) -> None:
    order = sorted(set(ids), key=str.encode)
    assert IdMap(ids).index_of(other) == (order.index(str(other)) if str(other) in order else -1)


@settings(max_examples=25)
@given(ids=st.lists(INTS, max_size=30) | st.lists(TEXTS, min_size=1, max_size=30))
def test_saving_and_mapping_changes_nothing(
    ids: list[int] | list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ids") / "users.npy"
    known = IdMap(ids)
    known.save(path)
    for mmap in (True, False):
        again = IdMap.load(path, mmap=mmap)
        assert again == known
        assert again.kind == known.kind
        np.testing.assert_array_equal(again.rows(ids), known.rows(ids))


@given(ids=st.lists(INTS, min_size=1, max_size=30) | st.lists(TEXTS, min_size=1, max_size=30))
def test_arrow_and_python_give_the_same_map(ids: list[int] | list[str]) -> None:
    assert IdMap(pa.array(ids)) == IdMap(pa.chunked_array([ids, ids])) == IdMap(ids)


def test_whole_arrays_are_looked_up_like_single_ids() -> None:
    numbers = IdMap([5, -3, 2**63 - 1])
    asked = np.array([5, 4, -3, 2**63 - 1], dtype=np.int64)
    assert numbers.rows(asked).tolist() == [1, -1, 0, 2]
    assert numbers.rows(asked).dtype == np.int32
    assert numbers.rows(np.array([5, 2**64 - 1], dtype=np.uint64)).tolist() == [1, -1]
    words = IdMap(["b", "aa", "ñ"])
    assert words.rows(np.array(["aa", "zzzzzzzz", "ñ"])).tolist() == [0, -1, 2]
    assert words.rows(words.ids).tolist() == [0, 1, 2]


@pytest.mark.parametrize("strange", [True, None, 1.0, "01", "+1", " 1", "1 ", "", "१", "1e3", 2**64, -(2**64)])
def test_what_is_no_id_of_the_map_is_unknown(strange: object) -> None:
    assert IdMap([1, 1000]).index_of(strange) == -1  # type: ignore[arg-type]  # that is the point


def test_trailing_nul_does_not_find_the_shorter_id() -> None:
    assert IdMap(["a"]).index_of("a\0") == -1


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["x" * 129], "129 bytes, over 128"),
        (["é" * 65], "130 bytes, over 128"),
        ([1, "1"], "all integers or all strings"),
        ([1.5], "all integers or all strings"),
        ([True], "all integers or all strings"),
        (["a", ""], "empty"),
        (["a\0"], "NUL"),
        (["\ud800"], "not text"),
        ([2**63], "does not fit 64 bits"),
        (pa.array([1, None]), "null"),
        (pa.array(["x" * 129]), "129 bytes"),
    ],
)
def test_an_impossible_id_is_refused(ids: list[object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        IdMap(ids)


def test_the_longest_id_is_kept_whole() -> None:
    long = "x" * 128
    assert IdMap([long, "y"]).id_of(0) == long


def test_another_file_is_not_taken_for_a_map(tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", np.zeros(3))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").touch()
    for name in ("floats.npy", "text.npy", "empty.npy"):
        with pytest.raises(DataError, match=name):
            IdMap.load(tmp_path / name)


def test_rows_outside_the_map_are_refused() -> None:
    with pytest.raises(IndexError):
        IdMap([1, 2]).id_of(-1)
    with pytest.raises(IndexError):
        IdMap([1, 2]).ids_of([0, 2])
