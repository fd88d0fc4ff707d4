"""The registry in plain files: the twin of the MLflow one, for one host and for tests; it needs no mlflow.

<root>/<name>/versions/<n>/model/         the model folder
<root>/<name>/versions/<n>/version.json   params, metrics, tags, features, created
<root>/<name>/versions/<n>/figures|tables|artifacts|data/...
<root>/<name>/aliases.json                {"champion": "3", ...}, replaced in one step
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from vitrina.errors import RegistryError
from vitrina.registry.aliases import Moves, promotion, return_to_previous
from vitrina.registry.model_format import read_model, receiving
from vitrina.registry.registry import CHALLENGER, CHAMPION, ModelVersion, RunRecord, no_such_version
from vitrina.storage.building import building, locked, write_whole


class FileRegistry:
    """A `Registry` and a `ChampionReader` of the model `name` below `root`."""

    def __init__(self, root: Path, *, name: str = "ranking_model") -> None:
        self.name = name
        self._home = Path(root).absolute() / name
        self._versions = self._home / "versions"

    def register(self, folder: Path, record: RunRecord) -> ModelVersion:
        read_model(folder)
        self._versions.mkdir(parents=True, exist_ok=True)
        with locked(self._home):
            version = str(max(self._numbers(), default=0) + 1)
            with building(self._versions / version) as staged:
                shutil.copytree(folder, staged / "model")
                for name, path in record.written_files().items():
                    (staged / name).parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, staged / name)
                described = {
                    "created": staged.stat().st_mtime_ns // 1_000_000,  # the file system's clock
                    "params": record.written_params(),
                    "metrics": record.written_metrics(),
                    "tags": record.written_tags(),
                    "features": list(record.features),
                }
                write_whole(staged / "version.json", json.dumps(described, indent=1, ensure_ascii=False).encode())
            self._move({CHALLENGER: version})
        return self._version(version)

    def champion(self) -> ModelVersion | None:
        version = self._aliases().get(CHAMPION)
        return None if version is None else self._version(version)

    def challenger(self) -> ModelVersion | None:
        version = self._aliases().get(CHALLENGER)
        return None if version is None else self._version(version)

    def versions(self) -> list[ModelVersion]:
        return [self._version(str(number)) for number in sorted(self._numbers(), reverse=True)]

    def challenge(self, version: str | None) -> None:
        self._versions.mkdir(parents=True, exist_ok=True)
        with locked(self._home):
            if version is not None:
                self._version(version)
            self._move({CHALLENGER: version})

    def promote(self, version: str | None = None) -> ModelVersion:
        self._versions.mkdir(parents=True, exist_ok=True)
        with locked(self._home):
            if version is not None:
                self._version(version)
            return self._version(self._move(promotion(self._aliases(), version, name=self.name))[CHAMPION])

    def rollback(self) -> ModelVersion:
        self._versions.mkdir(parents=True, exist_ok=True)
        with locked(self._home):
            return self._version(self._move(return_to_previous(self._aliases(), name=self.name))[CHAMPION])

    def fetch(self, version: str, folder: Path) -> None:
        source = Path(self._version(version).source)
        with receiving(folder, str(source)) as staged:
            shutil.copytree(source, staged, dirs_exist_ok=True)

    def _numbers(self) -> list[int]:
        if not self._versions.is_dir():
            return []
        return [int(path.name) for path in self._versions.iterdir() if path.name.isdecimal()]

    def _version(self, version: str) -> ModelVersion:
        home = self._versions / version
        if not version.isdecimal() or not home.is_dir():
            raise no_such_version(self.name, version, map(str, sorted(self._numbers(), reverse=True)))
        described = _read_json(home / "version.json")
        return ModelVersion(
            name=self.name,
            version=version,
            aliases=tuple(sorted(alias for alias, aim in self._aliases().items() if aim == version)),
            run_id=f"{self.name}-{version}",
            metrics=described["metrics"],
            created=described["created"],
            source=str(home / "model"),
        )

    def _aliases(self) -> dict[str, str]:
        path = self._home / "aliases.json"
        return _read_json(path) if path.exists() else {}

    def _move(self, moves: Moves) -> dict[str, str]:
        aliases = {alias: version for alias, version in {**self._aliases(), **moves}.items() if version is not None}
        write_whole(self._home / "aliases.json", json.dumps(aliases, sort_keys=True).encode())
        return aliases


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RegistryError(f"{path}: not readable ({error}). Restore it from a backup, or register again") from error
    return document
