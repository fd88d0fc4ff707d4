"""The champion read without mlflow: what the service polls and downloads from.

In: the registry's address. Out: the champion's `ModelVersion` and a verified copy of its folder. `FileRegistry` is a
reader as well.
"""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Protocol

from vitrina.errors import ConfigError
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.mlflow_rest import MlflowRestReader
from vitrina.registry.mlflow_sqlite import MlflowSqliteReader
from vitrina.registry.registry import ModelVersion

__all__ = ["ChampionReader", "MlflowRestReader", "MlflowSqliteReader", "reader_for"]


class ChampionReader(Protocol):
    """Both methods raise RegistryError when the registry is out of reach; no call hangs longer than its timeout."""

    def champion(self) -> ModelVersion | None:
        """The version that is to be served; None before the first promotion."""

    def fetch(self, version: str, folder: Path) -> None:
        """Copies a version's model folder to `folder`, whole or not at all, and verified (else ModelFormatError)."""


def reader_for(uri: str, model_name: str) -> ChampionReader:
    """The reader for an address: `http(s)://` MLflow server, `sqlite:///` MLflow database, `file://` `FileRegistry`."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme == "file":
        return FileRegistry(Path(urllib.parse.unquote(parts.path)), name=model_name)
    return mlflow_reader(uri, model_name)


def mlflow_reader(uri: str, model_name: str) -> MlflowRestReader | MlflowSqliteReader:
    """As `reader_for`, for MLflow's two kinds of address; these readers also list versions and aliases."""
    scheme = urllib.parse.urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return MlflowRestReader(uri, model_name)
    if scheme == "sqlite":
        return MlflowSqliteReader(sqlite_path(uri), model_name)
    raise ConfigError(
        f"registry address {uri!r}: not known. Use http(s)://host:port, sqlite:///path/mlflow.db or file:///path"
    )


def sqlite_path(uri: str) -> Path:
    """The absolute path of the database in a `sqlite:///relative` or `sqlite:////absolute` address."""
    path = uri.removeprefix("sqlite:///")
    if path == uri or not path:
        raise ConfigError(f"registry address {uri!r}: names no file. Use sqlite:///path/mlflow.db")
    return Path(path).absolute()
