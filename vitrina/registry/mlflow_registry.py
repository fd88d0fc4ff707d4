"""The registry in MLflow: embedded (`sqlite:///...` and a local artifact folder) or a server by its http(s) address.

A training becomes a run (params, metrics, figures, data sample, dataset input) and a logged model: the model folder as
artifact `artifacts/model` beside MLflow's pyfunc files. mlflow is imported when a registry is made, not before.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import vitrina
from vitrina.errors import ConfigError, RegistryError
from vitrina.registry.aliases import Moves, promotion, return_to_previous
from vitrina.registry.mlflow_sqlite import MODEL_ARTIFACT
from vitrina.registry.model_format import read_model
from vitrina.registry.reader import mlflow_reader, sqlite_path
from vitrina.registry.registry import CHALLENGER, CHAMPION, ModelVersion, RunRecord
from vitrina.storage.building import locked

_PYFUNC_NEEDS = ("mlflow-skinny", "numpy", "pandas", "pyarrow", "numba")
_BATCH = 100  # the most tags or params that MLflow takes in one call


def code_file(name: str) -> Path:
    """The file beside this one that MLflow runs to load a model as a pyfunc."""
    return Path(__file__).with_name(name)


class MlflowRegistry:
    """A `Registry` in MLflow. `artifact_root` (embedded only, default `mlartifacts` beside the database) has the files.

    `pyfunc_code` is the file that MLflow runs to load the model as a pyfunc (without it, that of recommenders),
    `pip_requirements` what it needs.
    """

    def __init__(
        self,
        tracking_uri: str,
        *,
        experiment: str = "pr_final_#2",
        model_name: str = "ranking_model",
        artifact_root: Path | None = None,
        pyfunc_code: Path | None = None,
        pip_requirements: list[str] | None = None,
    ) -> None:
        self.name = model_name
        self._experiment = experiment
        self._pyfunc_code = pyfunc_code or code_file("pyfunc_code.py")
        self._requirements = _installed_requirements() if pip_requirements is None else pip_requirements
        self._artifact_root: Path | None = None
        self._database: Path | None = None
        if tracking_uri.startswith("sqlite:"):
            self._database = sqlite_path(tracking_uri)
            self._database.parent.mkdir(parents=True, exist_ok=True)
            self._artifact_root = (artifact_root or self._database.parent / "mlartifacts").absolute()
            tracking_uri = f"sqlite:///{self._database}"
        elif artifact_root is not None:
            raise ConfigError(f"artifact_root: the server at {tracking_uri} keeps the artifacts. Leave it out")
        self._uri = tracking_uri
        self._reader = mlflow_reader(tracking_uri, model_name)

    def register(self, folder: Path, record: RunRecord) -> ModelVersion:
        read_model(folder)
        with self._writing() as client:
            experiment = self._experiment_id(client)
            run = client.create_run(experiment, run_name=self.name, tags=_run_tags(record))
            run_id, status = run.info.run_id, "FAILED"
            try:
                params = record.written_params()
                model = client.create_logged_model(experiment, self.name, run_id, params=params, model_type="pyfunc")
                _log_values(client, run, model.model_id, record)
                _log_files(client, run_id, record)
                self._log_model(client, Path(folder), run_id, model)
                version = self._create_version(client, run_id, model)
                self._move(client, {CHALLENGER: version})
                status = "FINISHED"
            finally:
                with redirect_stdout(io.StringIO()):  # it prints the run's address, and stdout is for our own answers
                    client.set_terminated(run_id, status)
        return self._reader.version(version)

    def champion(self) -> ModelVersion | None:
        return self._reader.champion()

    def challenger(self) -> ModelVersion | None:
        version = self._reader.aliases().get(CHALLENGER)
        return None if version is None else self._reader.version(version)

    def versions(self) -> list[ModelVersion]:
        return self._reader.versions()

    def challenge(self, version: str | None) -> None:
        aim = None if version is None else self._reader.version(version).version
        if aim == self._reader.aliases().get(CHALLENGER):
            return
        with self._writing() as client:
            self._move(client, {CHALLENGER: aim})

    def promote(self, version: str | None = None) -> ModelVersion:
        if version is not None:
            self._reader.version(version)
        with self._writing() as client:
            moves = promotion(self._reader.aliases(), version, name=self.name)
            return self._reader.version(self._move(client, moves)[CHAMPION])

    def rollback(self) -> ModelVersion:
        with self._writing() as client:
            moves = return_to_previous(self._reader.aliases(), name=self.name)
            return self._reader.version(self._move(client, moves)[CHAMPION])

    def fetch(self, version: str, folder: Path) -> None:
        self._reader.fetch(version, folder)

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """MLflow's client for changes: its chatter silenced, its errors as RegistryError, one writer per database."""
        self._reader.aliases()  # tells at once that a server is out of reach, where MLflow's client tries for minutes
        with ExitStack() as stack:
            stack.enter_context(_quiet())
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            if self._database is not None:
                stack.enter_context(locked(self._database.parent))
            try:
                yield MlflowClient(self._uri, self._uri)
            except MlflowException as error:
                raise RegistryError(f"{self._uri}: MLflow refuses ({error}). Check its log") from error

    def _experiment_id(self, client: Any) -> str:
        experiment = client.get_experiment_by_name(self._experiment)
        if experiment is None:
            location = None if self._artifact_root is None else self._artifact_root.as_uri()
            return str(client.create_experiment(self._experiment, artifact_location=location))
        if experiment.lifecycle_stage != "active":
            raise RegistryError(
                f"experiment {self._experiment!r}: is deleted in MLflow. Restore it, or set another name"
            )
        return str(experiment.experiment_id)

    def _log_model(self, client: Any, folder: Path, run_id: str, model: Any) -> None:
        """The pyfunc's own files first; the model folder goes up from where it is, without a copy in between."""
        import mlflow.pyfunc
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        description = Model(
            artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
        )
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "pyfunc"
            mlflow.pyfunc.save_model(
                path=str(path),
                python_model=str(self._pyfunc_code),
                pip_requirements=self._requirements,
                mlflow_model=description,
            )
            place = {"path": MODEL_ARTIFACT, "uri": MODEL_ARTIFACT}
            description.flavors["python_function"]["artifacts"] = {"model": place}
            description.save(str(path / "MLmodel"))
            client.log_model_artifacts(model.model_id, str(path))
        client.log_model_artifacts(model.model_id, str(folder), artifact_path=MODEL_ARTIFACT)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        client.finalize_logged_model(model.model_id, "READY")

    def _create_version(self, client: Any, run_id: str, model: Any) -> str:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # MLflow resolves models:/<id> through its process-wide address, which is the right one on a server alone.
        source = f"models:/{model.model_id}" if self._database is None else model.artifact_location
        return str(client.create_model_version(self.name, source, run_id, model_id=model.model_id).version)

    def _move(self, client: Any, moves: Moves) -> dict[str, str]:
        for alias, version in moves.items():
            if version is None:
                client.delete_registered_model_alias(self.name, alias)
            else:
                client.set_registered_model_alias(self.name, alias, version)
        return self._reader.aliases()


def _log_values(client: Any, run: Any, model_id: str, record: RunRecord) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    at = run.info.start_time
    params = [Param(name, value) for name, value in record.written_params().items()]
    metrics = [Metric(name, value, at, 0, model_id=model_id) for name, value in record.written_metrics().items()]
    for start in range(0, max(len(params), len(metrics)), _BATCH):
        chunk = slice(start, start + _BATCH)
        client.log_batch(run.info.run_id, metrics=metrics[chunk], params=params[chunk])
    digest = record.fingerprint[:36]  # the most that MLflow keeps; the tag has the whole
    source = json.dumps({"fingerprint": record.fingerprint})
    dataset = Dataset(name="prepared", digest=digest, source_type="code", source=source)
    client.log_inputs(run.info.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _log_files(client: Any, run_id: str, record: RunRecord) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in record.written_files().items():
            (Path(scratch) / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, Path(scratch) / name)
        (Path(scratch) / "features.json").write_text(json.dumps(list(record.features), indent=1, ensure_ascii=False))
        client.log_artifacts(run_id, scratch)


def _run_tags(record: RunRecord) -> dict[str, str]:
    commit = {"mlflow.source.git.commit": record.git_commit} if record.git_commit else {}
    return {**record.written_tags(), **commit}


def _installed_requirements() -> list[str]:
    """Vitrina and what the pyfunc needs, in the versions that run here."""
    found = [f"vitrina=={vitrina.__version__}"]
    for name in _PYFUNC_NEEDS:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name}=={importlib.metadata.version(name)}")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps MLflow's warnings about its own dependencies and its progress notes from the user's screen."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # mlflow sets the levels of its loggers when it is imported
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # warns when it is first imported

        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
