"""One contract for every registry: plain files, MLflow embedded, MLflow behind a server. Readers must agree."""

import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ports import free_port

from vitrina.errors import ModelFormatError, RegistryError
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.reader import reader_for
from vitrina.registry.registry import Registry, RunRecord

STAND_IN = """
import json
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel


class StandIn(PythonModel):
    def load_context(self, context):
        self.number = json.loads((Path(context.artifacts["model"]) / "model.json").read_text())["meta"]["number"]

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return [[self.number + i for i in range(k)] for k in model_input["k"]]


mlflow.models.set_model(StandIn())
"""


@dataclass(frozen=True)
class Place:
    """A registry's address and how to open it; every test takes a model name of its own."""

    uri: str
    home: Path
    open: Callable[[str], Registry]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "stand_in.py"
    path.write_text(STAND_IN)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("files")
    return Place(root.as_uri(), root, lambda name: FileRegistry(root, name=name))


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, stand_in: Path) -> Place:
    home = tmp_path_factory.mktemp("a home")
    return mlflow_at(f"sqlite:///{home}/mlflow.db", home, stand_in)


def mlflow_at(uri: str, home: Path, stand_in: Path) -> Place:
    return Place(
        uri, home, lambda name: MlflowRegistry(uri, model_name=name, pyfunc_code=stand_in, pip_requirements=["numpy"])
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, stand_in: Path) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("server")
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home}/server.db",
        "--artifacts-destination",
        str(home / "artifacts"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=home, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(1_000):
            assert process.poll() is None, (home / "log").read_text()
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            pytest.fail("mlflow server did not start: " + (home / "log").read_text())
        yield mlflow_at(uri, home, stand_in)
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=120)


@pytest.fixture(params=["files", "embedded", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def name() -> str:
    return f"ranking_model {uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry(place: Place, name: str) -> Registry:
    return place.open(name)


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[int], Path]:
    def make(number: int) -> Path:
        folder = tmp_path / f"made-{number}"
        arrays = {"factors": np.full((3, 2), number, np.float32), "ids": np.array([b"a", b"bc", b"d"])}
        write_model(folder, arrays=arrays, files={}, meta={"number": number})
        return folder

    return make


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG")
    sample = tmp_path / "rows.parquet"
    sample.write_bytes(b"PAR1")
    return RunRecord(
        fingerprint="f" * 64,
        params={"factors": 64, "loss": "YetiRank"},
        metrics={"ndcg@10": 0.0375, "hr@10": 0.125, "lost": float("nan")},
        tags={"scenario": "storefront"},
        figures={"learning curve": picture},
        reports={"drift/report.html": picture},
        data_sample=sample,
        git_commit="0123abcd",
        features=["als", "covisitation"],
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_there_before_the_first_training(registry: Registry, tmp_path: Path) -> None:
    assert registry.champion() is None
    assert registry.challenger() is None
    assert registry.versions() == []
    with pytest.raises(RegistryError, match="no challenger"):
        registry.promote()
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.rollback()
    with pytest.raises(RegistryError, match=r"no version '1'. There are: none yet"):
        registry.fetch("1", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_training_becomes_the_challenger(
    registry: Registry, name: str, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    version = registry.register(make_model(1), record)
    assert (version.name, version.version, version.aliases) == (name, "1", ("challenger",))
    assert version.metrics == {"ndcg_at_10": 0.0375, "hr_at_10": 0.125}
    assert version.created > 1_600_000_000_000
    assert version.run_id
    assert registry.challenger() == version
    assert registry.versions() == [version]
    assert registry.champion() is None
    registry.fetch("1", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(make_model(1))


def test_promotion_rollback_and_readers(
    place: Place, registry: Registry, name: str, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    reader = reader_for(place.uri, name)
    assert reader.champion() is None
    registry.register(make_model(1), record)
    assert reader.champion() is None
    first = registry.promote()
    assert first.aliases == ("champion",)
    assert reader.champion() == first == registry.champion()
    assert registry.challenger() is None
    with pytest.raises(RegistryError, match="no challenger"):
        registry.promote()
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.rollback()

    registry.register(make_model(2), record)
    second = registry.promote()
    assert (second.version, registry.promote("2")) == ("2", second)
    assert reader.champion() == second == registry.champion()
    assert [(each.version, each.aliases) for each in registry.versions()] == [
        ("2", ("champion",)),
        ("1", ("previous",)),
    ]
    reader.fetch("2", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(make_model(2))
    assert read_model(tmp_path / "copy").arrays["factors"][0, 0] == 2

    assert registry.rollback().version == "1"
    assert reader.champion() == registry.champion() == first
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.rollback()
    assert registry.promote("2").version == "2"
    assert registry.rollback().version == "1"


def test_what_cannot_be_promoted_or_fetched_changes_nothing(
    registry: Registry, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    registry.register(make_model(1), record)
    champion = registry.promote()
    for missing in ("2", "0", "-1", "one", "1%27", "../1"):
        with pytest.raises(RegistryError, match="no version"):
            registry.promote(missing)
        with pytest.raises(RegistryError, match="no version"):
            registry.fetch(missing, tmp_path / "copy")
    assert registry.champion() == champion
    broken = make_model(2)
    array = broken / "arrays" / "factors.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"\x07")
    with pytest.raises(ModelFormatError, match=r"factors\.npy"):
        registry.register(broken, record)
    assert registry.versions() == [champion]


def test_a_copy_replaces_the_folder_that_is_there(
    registry: Registry, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    registry.register(make_model(1), record)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "left over").touch()
    registry.fetch("1", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(make_model(1))


def test_a_damaged_version_is_never_handed_out(
    place: Place, registry: Registry, name: str, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    others = set(place.home.rglob("factors.npy"))
    registry.register(make_model(1), record)
    registry.promote()
    (stored,) = set(place.home.rglob("factors.npy")) - others
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x07")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "last good").touch()
    for source in (registry, reader_for(place.uri, name)):
        with pytest.raises(ModelFormatError, match=r"factors\.npy") as raised:
            source.fetch("1", tmp_path / "copy")
        assert str(tmp_path / ".copy.") not in str(raised.value), "a copy that is gone tells nobody where the fault is"
    assert contents(tmp_path / "copy") == {"last good": b""}


def test_a_second_opening_sees_the_same(
    place: Place, registry: Registry, name: str, make_model: Callable[[int], Path], record: RunRecord
) -> None:
    registry.register(make_model(1), record)
    registry.promote()
    assert place.open(name).versions() == registry.versions()
    assert place.open(name + "'s other").versions() == []


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "http://user:secret@127.0.0.1:9"])
def test_a_server_out_of_reach_is_told_at_once(
    uri: str, make_model: Callable[[int], Path], record: RunRecord, tmp_path: Path
) -> None:
    registry, reader = MlflowRegistry(uri), reader_for(uri, "ranking_model")
    for call in (
        registry.champion,
        registry.promote,
        reader.champion,
        lambda: registry.register(make_model(1), record),
        lambda: reader.fetch("1", tmp_path / "copy"),
    ):
        with pytest.raises(RegistryError, match="does not answer") as raised:
            call()
        assert "secret" not in str(raised.value)


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.slow)])
def mlflow_place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def test_mlflow_keeps_the_whole_record(
    mlflow_place: Place,
    name: str,
    make_model: Callable[[int], Path],
    record: RunRecord,
    capfd: pytest.CaptureFixture[str],
) -> None:
    version = mlflow_place.open(name).register(make_model(1), record)
    assert capfd.readouterr() == ("", "")
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_place.uri, mlflow_place.uri)
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "pr_final_#2"
    assert run.data.params == {"factors": "64", "loss": "YetiRank"}
    assert run.data.metrics == version.metrics
    assert run.data.tags["vitrina.fingerprint"] == record.fingerprint
    assert run.data.tags["mlflow.source.git.commit"] == "0123abcd"
    assert run.data.tags["vitrina.metrics_not_finite"] == "lost"
    assert run.inputs is not None and run.inputs.dataset_inputs[0].dataset.digest == record.fingerprint[:36]
    places = ("figures", "data", "drift", "")
    kept = {item.path for place in places for item in client.list_artifacts(run.info.run_id, place)}
    assert {"figures/learning_curve.png", "data/sample.parquet", "drift/report.html", "features.json"} <= kept


def test_mlflow_loads_the_champion_as_pyfunc(
    mlflow_place: Place,
    name: str,
    make_model: Callable[[int], Path],
    record: RunRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow
    import pandas as pd

    registry = mlflow_place.open(name)
    registry.register(make_model(7), record)
    registry.promote()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_place.uri)
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert model.predict(pd.DataFrame({"user_id": [1, 2], "k": [2, 1]})) == [[7, 8], [7]]
