"""An MLflow server read over REST with the standard library: versions, aliases, metrics and the model's files."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitrina.errors import RegistryError
from vitrina.registry.mlflow_sqlite import MODEL_ARTIFACT
from vitrina.registry.model_format import MODEL_FILE, SCHEMA_VERSION, receiving
from vitrina.registry.registry import CHAMPION, ModelVersion, no_such_version
from vitrina.storage.sealed import read_seal

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second is what a missing alias is called


class MlflowRestReader:
    """A `ChampionReader` of `model_name` on the MLflow server at `uri`, which may carry `user:password@`.

    `timeout` is in seconds, for the connection and for each read. Proxies named in the environment are not used.
    """

    def __init__(self, uri: str, model_name: str, *, timeout: float = 5.0) -> None:
        self.name = model_name
        parts = urllib.parse.urlsplit(uri.rstrip("/"))
        self._address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._headers = {}
        if parts.username is not None:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def champion(self) -> ModelVersion | None:
        answer = self._get("registered-models/alias", name=self.name, alias=CHAMPION)
        if answer is None:
            return None
        found = answer["model_version"]
        return self._read(found, found.get("aliases", []))

    def aliases(self) -> dict[str, str]:
        """Alias to version."""
        answer = self._get("registered-models/get", name=self.name)
        found = [] if answer is None else answer["registered_model"].get("aliases", [])
        return {each["alias"]: str(each["version"]) for each in found}

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first."""
        quoted = self.name.replace("'", "''")
        query = {"filter": f"name='{quoted}'", "max_results": "200"}
        found: list[dict[str, Any]] = []
        while True:
            answer = self._get("model-versions/search", **query) or {}
            found += answer.get("model_versions", [])
            if not answer.get("next_page_token"):
                break
            query["page_token"] = answer["next_page_token"]
        aliases = self.aliases() if found else {}  # a search leaves them out
        read = [self._read(each, [alias for alias, aim in aliases.items() if aim == each["version"]]) for each in found]
        return sorted(read, key=lambda each: -int(each.version))

    def version(self, version: str) -> ModelVersion:
        """One version. RegistryError when there is none."""
        answer = self._get("model-versions/get", name=self.name, version=version)
        if answer is None:
            raise no_such_version(self.name, version, (one.version for one in self.versions()))
        found = answer["model_version"]
        return self._read(found, found.get("aliases", []))

    def fetch(self, version: str, folder: Path) -> None:
        self.version(version)
        with receiving(folder, f"{self._address}, version {version} of {self.name}") as staged:
            self._download(version, MODEL_FILE, staged)
            for name in read_seal(staged / MODEL_FILE, schema_version=SCHEMA_VERSION)["files"]:
                self._download(version, name, staged)

    def _read(self, found: dict[str, Any], aliases: list[str]) -> ModelVersion:
        run_id = found.get("run_id", "")
        run = self._get("runs/get", run_id=run_id) if run_id else None
        metrics = [] if run is None else run["run"]["data"].get("metrics", [])
        return ModelVersion(
            name=self.name,
            version=str(found["version"]),
            aliases=tuple(sorted(aliases)),
            run_id=run_id,
            metrics={each["key"]: float(each["value"]) for each in metrics if each["value"] != "NaN"},
            created=int(found["creation_timestamp"]),
            source=found["source"],
        )

    def _get(self, path: str, **query: str) -> dict[str, Any] | None:
        """The answer of one call of MLflow's API; None when what it names does not exist."""
        address = f"{self._address}/api/2.0/mlflow/{path}?{urllib.parse.urlencode(query)}"
        with self._opened(address, absent=True) as response:
            if response is None:
                return None
            try:
                document: dict[str, Any] = json.load(response)
            except ValueError as error:
                raise RegistryError(f"{self._address}: answers, but not as MLflow does. Check the address") from error
            return document

    def _download(self, version: str, name: str, folder: Path) -> None:
        query = urllib.parse.urlencode({"name": self.name, "version": version, "path": f"{MODEL_ARTIFACT}/{name}"})
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._opened(f"{self._address}/model-versions/get-artifact?{query}") as response,
            target.open("wb") as file,
        ):
            assert response is not None
            shutil.copyfileobj(response, file, 1 << 20)

    @contextmanager
    def _opened(self, address: str, *, absent: bool = False) -> Iterator[http.client.HTTPResponse | None]:
        try:
            with self._opener.open(
                urllib.request.Request(address, headers=self._headers), timeout=self._timeout
            ) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                code, message = _mlflow_error(error.read())
            if not (absent and code in _ABSENT):
                raise RegistryError(
                    f"{self._address}: MLflow refuses ({error.code} {code}: {message}). Check its log"
                ) from error
            yield None
        except (OSError, http.client.HTTPException) as error:
            raise RegistryError(
                f"{self._address}: MLflow does not answer ({error}). Check that it runs there"
            ) from error


def _mlflow_error(body: bytes) -> tuple[str, str]:
    try:
        answer = json.loads(body)
        return str(answer["error_code"]), str(answer.get("message", ""))[:300]
    except (ValueError, KeyError, TypeError):
        return "HTTP", "no reason given"
