import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import ModelFormatError
from vitrina.registry.model_format import content_digest, read_model, write_model
from vitrina.storage import sealed

ARRAYS: dict[str, np.ndarray] = {
    "factors": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns_first": np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4)),
    "ids": np.array([b"a", b"bc", "д".encode()]),
    "empty": np.zeros((0, 4), np.int32),
    "scalar": np.array(2.5),
    "flags": np.array([True, False]),
    "every_second": np.arange(10, dtype=np.int16)[::2],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of every kind of plain array and one file."""
    (tmp_path / "trees").write_bytes(b"trees" * 100)
    folder = tmp_path / "model"
    meta = {"scenario": "storefront", "as_of": np.int64(17), "metrics": {"ndcg@10": np.float32(0.5)}, "title": "Ж"}
    write_model(folder, arrays=ARRAYS, files={"ranker.cbm": tmp_path / "trees"}, meta=meta)
    return folder


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrites model.json with a seal that fits, as a faulty writer would."""
    document = json.loads((folder / "model.json").read_text())
    document.pop("seal")
    change(document)
    (folder / "model.json").write_text(sealed._render({**document, "seal": sealed._digest(document)}))


@pytest.mark.parametrize("verify", [True, False])
def test_what_is_read_is_what_was_written(model: Path, verify: bool) -> None:
    stored = read_model(model, verify=verify)
    assert stored.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert stored.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(stored.arrays[name], array)
    assert stored.files.keys() == {"ranker.cbm"}
    assert stored.files["ranker.cbm"].read_bytes() == b"trees" * 100
    assert stored.meta == {"scenario": "storefront", "as_of": 17, "metrics": {"ndcg@10": 0.5}, "title": "Ж"}
    assert stored.folder == model


def test_arrays_are_maps_that_change_no_file(model: Path) -> None:
    factors = read_model(model).arrays["factors"]
    assert isinstance(factors, np.memmap)
    assert factors.flags.writeable, "read-only arrays would make compiled code compile once more"
    factors[0, 0] += 1
    factors.flush()
    np.testing.assert_array_equal(read_model(model).arrays["factors"], ARRAYS["factors"])


@pytest.mark.parametrize("name", ["ranker.cbm", "arrays/factors.npy", "arrays/ids.npy", "model.json"])
def test_a_flipped_byte_is_found_anywhere(model: Path, name: str) -> None:
    path = model / name
    good = path.read_bytes()
    for place in (0, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        with pytest.raises(ModelFormatError, match=path.name):
            read_model(model)
    path.write_bytes(good)
    read_model(model)


def test_missing_and_foreign_files_are_named(model: Path) -> None:
    (model / "arrays" / "extra.npy").touch()
    with pytest.raises(ModelFormatError, match=r"arrays/extra\.npy"):
        read_model(model)
    (model / "arrays" / "extra.npy").unlink()
    (model / "ranker.cbm").unlink()
    with pytest.raises(ModelFormatError, match=r"ranker\.cbm: the file is missing"):
        read_model(model)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_refused(model: Path, version: object) -> None:
    reseal(model, lambda document: document.update(schema_version=version))
    with pytest.raises(ModelFormatError, match="this release reads 1"):
        read_model(model)


@pytest.mark.parametrize(("key", "value"), [("dtype", "<f8"), ("shape", [4, 3]), ("shape", [12])])
def test_a_wrong_dtype_or_shape_is_refused(model: Path, key: str, value: object) -> None:
    reseal(model, lambda document: document["arrays"]["factors"].update({key: value}))
    with pytest.raises(ModelFormatError, match=r"factors\.npy"):
        read_model(model)


def test_a_pickle_is_never_loaded(model: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(model / "boom"),))

    np.save(model / "arrays" / "factors.npy", np.array([Bomb()]), allow_pickle=True)
    content = json.loads((model / "model.json").read_text())
    (model / "model.json").unlink()
    sealed.seal(model, "model.json", {"meta": {}, "arrays": content["arrays"]}, schema_version=1)
    with pytest.raises(ModelFormatError, match=r"factors\.npy"):
        read_model(model)
    assert not (model / "boom").exists()


@pytest.mark.parametrize(
    "arrays",
    [{"x": np.array([object()])}, {"x": np.zeros(2, [("a", "i4")])}, {"../x": np.zeros(1)}, {"a/b": np.zeros(1)}],
)
def test_what_is_not_plain_is_refused_and_nothing_is_written(tmp_path: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError):
        write_model(tmp_path / "model", arrays=arrays, files={}, meta={})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_writing_leaves_the_old_model(model: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_model(model, arrays={}, files={"ranker.cbm": model / "missing"}, meta={})
    assert read_model(model).meta["as_of"] == 17
    write_model(model, arrays={}, files={}, meta={"as_of": 18})
    assert read_model(model).meta == {"as_of": 18}


def test_the_content_digest_tells_arrays_and_meta_and_not_the_hour(tmp_path: Path) -> None:
    def digest(name: str, arrays: dict[str, np.ndarray], meta: dict[str, Any], trees: bytes = b"at noon") -> str:
        (tmp_path / "trees").write_bytes(trees)
        write_model(tmp_path / name, arrays=arrays, files={"ranker.cbm": tmp_path / "trees"}, meta=meta)
        return content_digest(tmp_path / name, without=("metrics",))

    one = digest("one", ARRAYS, {"as_of": 1, "metrics": 1})
    assert digest("other", dict(reversed(ARRAYS.items())), {"metrics": 2, "as_of": 1}, b"at night") == one
    assert digest("later", ARRAYS, {"as_of": 2, "metrics": 1}) != one
    assert digest("moved", {**ARRAYS, "scalar": np.array(2.75)}, {"as_of": 1, "metrics": 1}) != one
