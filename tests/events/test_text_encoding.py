"""Text that is not UTF-8 is told from text that is, and Cyrillic from Western letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitrina.events.sources import DataFile
from vitrina.events.text_encoding import as_utf8

WESTERN = "code;name\n1;Café crème à la française\n2;£5 MUG\n"
CYRILLIC = "code;name\n1;КРУЖКА\n2;Чай зелёный, 100 г\n"


@pytest.mark.parametrize(
    ("text", "written", "told"),
    [
        (WESTERN, "utf-8", None),
        (CYRILLIC, "utf-8", None),
        ("plain", "ascii", None),
        (WESTERN, "utf-8-sig", None),
        (WESTERN, "cp1252", "cp1252"),
        (CYRILLIC, "cp1251", "cp1251"),
        (CYRILLIC, "utf-16", "utf-16"),
    ],
)
def test_the_text_stays_the_same(text: str, written: str, told: str | None, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(text.encode(written))
    file, encoding = as_utf8(DataFile(path=path, name="sales.csv", format="csv"), tmp_path / "work")
    assert encoding == told
    assert (file.path == path) is (told is None)
    assert file.path.read_text(encoding="utf-8-sig") == text
    assert file.name == "sales.csv"


def test_a_letter_may_lie_across_two_blocks(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"x" * ((1 << 20) - 1) + "é".encode() * 10)
    assert as_utf8(DataFile(path=path, name="sales.csv", format="csv"), tmp_path)[1] is None
    path.write_bytes(b"x" * (1 << 20) + b"\xc3")
    assert as_utf8(DataFile(path=path, name="sales.csv", format="csv"), tmp_path)[1] == "cp1252"
