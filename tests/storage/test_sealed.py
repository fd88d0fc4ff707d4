import json
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import ModelFormatError
from vitrina.storage.sealed import check_seal, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed folder of two files."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.npy").write_bytes(b"0123456789")
    (tmp_path / "deep" / "b").write_bytes(b"")
    seal(tmp_path, "lists.json", {"version": "7", "k": np.int64(10), "title": "Каталог"}, schema_version=3)
    return tmp_path


def test_an_untouched_folder_passes(folder: Path) -> None:
    document = check_seal(folder, "lists.json", schema_version=3)
    assert (document["version"], document["k"], document["title"]) == ("7", 10, "Каталог")
    assert document["files"].keys() == {"a.npy", "deep/b"}
    assert document["files"]["a.npy"]["size"] == 10


def test_every_flipped_byte_is_found(folder: Path) -> None:
    for path in (folder / "a.npy", folder / "lists.json"):
        good = path.read_bytes()
        for place in range(len(good)):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            with pytest.raises(ModelFormatError, match=path.name):
                check_seal(folder, "lists.json", schema_version=3)
        path.write_bytes(good)
    check_seal(folder, "lists.json", schema_version=3)


def test_a_file_too_few_too_many_or_cut_is_named(folder: Path) -> None:
    for verify in (True, False):
        (folder / "a.npy").write_bytes(b"012345678")
        with pytest.raises(ModelFormatError, match=r"a\.npy: 9 bytes instead of 10"):
            check_seal(folder, "lists.json", schema_version=3, verify=verify)
        (folder / "a.npy").unlink()
        with pytest.raises(ModelFormatError, match=r"a\.npy: the file is missing"):
            check_seal(folder, "lists.json", schema_version=3, verify=verify)
        (folder / "a.npy").write_bytes(b"0123456789")
        (folder / "deep" / "extra").touch()
        with pytest.raises(ModelFormatError, match=r"deep/extra: lists\.json does not know"):
            check_seal(folder, "lists.json", schema_version=3, verify=verify)
        (folder / "deep" / "extra").unlink()


def test_without_verification_the_content_is_trusted(folder: Path) -> None:
    (folder / "a.npy").write_bytes(b"9876543210")
    check_seal(folder, "lists.json", schema_version=3, verify=False)


@pytest.mark.parametrize("version", [2, 4])
def test_another_schema_version_is_refused(folder: Path, version: int) -> None:
    with pytest.raises(ModelFormatError, match=f"schema version 3, this release reads {version}"):
        check_seal(folder, "lists.json", schema_version=version)


def test_links_are_refused(folder: Path) -> None:
    (folder / "a.npy").unlink()
    (folder / "a.npy").symlink_to("/etc/hostname")
    with pytest.raises(ModelFormatError, match="not a regular file"):
        check_seal(folder, "lists.json", schema_version=3)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "deep/../../a", "a\\b", ""])
def test_a_name_that_leads_out_is_refused(folder: Path, name: str) -> None:
    from vitrina.storage import sealed

    document = json.loads((folder / "lists.json").read_text())
    document.pop("seal")
    document["files"][name] = {"size": 1, "sha256": "0"}
    document["seal"] = sealed._digest(document)
    (folder / "lists.json").write_text(sealed._render(document))
    with pytest.raises(ModelFormatError, match="leads out of the folder"):
        check_seal(folder, "lists.json", schema_version=3)


def test_what_is_no_sealed_folder_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ModelFormatError, match=r"lists\.json: the file is missing"):
            check_seal(folder, "lists.json", schema_version=1)
    for text in ("", "{", "[]", "{}", '{"schema_version": 1, "x": NaN}', '{"schema_version": 1, "files": {}}'):
        (tmp_path / "lists.json").write_text(text)
        with pytest.raises(ModelFormatError, match=r"lists\.json"):
            check_seal(tmp_path, "lists.json", schema_version=1)


@pytest.mark.parametrize("content", [{"x": float("nan")}, {"x": object()}, {"files": {}}, {"seal": ""}])
def test_content_that_cannot_be_sealed_is_told(tmp_path: Path, content: dict[str, object]) -> None:
    with pytest.raises(ModelFormatError):
        seal(tmp_path, "lists.json", content, schema_version=1)
    assert not (tmp_path / "lists.json").exists()
