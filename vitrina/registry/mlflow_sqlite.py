"""MLflow's own SQLite database, read with the standard library: versions, aliases, metrics, places of files."""

from __future__ import annotations

import shutil
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vitrina.errors import RegistryError
from vitrina.registry.model_format import receiving
from vitrina.registry.registry import CHAMPION, ModelVersion, no_such_version

MODEL_ARTIFACT = "artifacts/model"
_VERSIONS = (
    "SELECT version, run_id, creation_time, source FROM model_versions "
    "WHERE name = ? AND current_stage != 'Deleted_Internal' ORDER BY version DESC"
)
_LOCATION = "SELECT coalesce(storage_location, source) FROM model_versions WHERE name = ? AND version = ?"


class MlflowSqliteReader:
    """A `ChampionReader` of `model_name` in the database at `database`, opened read-only for each call.

    A database that does not exist yet holds no versions.
    """

    def __init__(self, database: Path, model_name: str, *, timeout: float = 5.0) -> None:
        self.name = model_name
        self._database = Path(database).absolute()
        self._timeout = timeout

    def champion(self) -> ModelVersion | None:
        version = self.aliases().get(CHAMPION)
        return None if version is None else self.version(version)

    def aliases(self) -> dict[str, str]:
        """Alias to version."""
        if not self._database.exists():
            return {}
        with self._connected() as connection:
            found = connection.execute(
                "SELECT alias, version FROM registered_model_aliases WHERE name = ?", (self.name,)
            )
            return {alias: str(version) for alias, version in found}

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first."""
        if not self._database.exists():
            return []
        aliases = self.aliases()
        with self._connected() as connection:
            found = connection.execute(_VERSIONS, (self.name,)).fetchall()
            metrics = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND NOT is_nan"
            return [
                ModelVersion(
                    name=self.name,
                    version=str(version),
                    aliases=tuple(sorted(alias for alias, aim in aliases.items() if aim == str(version))),
                    run_id=run_id or "",
                    metrics=dict(connection.execute(metrics, (run_id,)).fetchall()),
                    created=created,
                    source=source,
                )
                for version, run_id, created, source in found
            ]

    def version(self, version: str) -> ModelVersion:
        """One version. RegistryError when there is none."""
        known = self.versions()
        for found in known:
            if found.version == version:
                return found
        raise no_such_version(self.name, version, (one.version for one in known))

    def fetch(self, version: str, folder: Path) -> None:
        self.version(version)
        with self._connected() as connection:
            location = connection.execute(_LOCATION, (self.name, version)).fetchone()[0]
        source = _local_path(location) / MODEL_ARTIFACT
        if not source.is_dir():
            raise RegistryError(f"{source}: the files of version {version} are gone. Restore them, or roll back")
        with receiving(folder, str(source)) as staged:
            shutil.copytree(source, staged, dirs_exist_ok=True)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        address = f"file:{urllib.parse.quote(str(self._database))}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=self._timeout)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise RegistryError(
                f"{self._database}: not readable as MLflow's database ({error}). Check the path"
            ) from error


def _local_path(location: str) -> Path:
    parts = urllib.parse.urlsplit(location)
    if parts.scheme not in ("", "file"):
        raise RegistryError(f"{location}: not a local folder. Read this registry through its MLflow server")
    return Path(urllib.parse.unquote(parts.path) if parts.scheme else location)
