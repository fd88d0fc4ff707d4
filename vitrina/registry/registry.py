"""What a registry is: versions of a model, their training records, and the names champion, challenger, previous.

In: a model folder and the `RunRecord` of its training. Out: a `ModelVersion`, and verified copies of its folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from vitrina.errors import RegistryError

CHAMPION = "champion"  # what the service loads
CHALLENGER = "challenger"  # what `promote` makes champion: the last training's model, when the gate let it pass
PREVIOUS = "previous"  # the champion before this one, for `rollback`


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One registered model. `created` is in ms since the epoch; `source` says where the registry keeps the folder."""

    name: str
    version: str
    aliases: tuple[str, ...]  # sorted
    run_id: str
    metrics: dict[str, float]
    created: int
    source: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is kept of one training.

    Names of parameters and metrics are written through `plain_name` (`ndcg@10` becomes `ndcg_at_10`). Metrics that are
    not finite are left out and named in the tag `vitrina.metrics_not_finite`.
    `figures`, `tables` and `artifacts` are files by name, `reports` by the path at which they are kept; `data_sample`
    is a small file of the training's rows; `fingerprint` is that of the prepared data (`vitrina.registry.fingerprint`).
    """

    fingerprint: str
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    tables: Mapping[str, Path] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    reports: Mapping[str, Path] = field(default_factory=dict)
    data_sample: Path | None = None
    git_commit: str | None = None
    features: tuple[str, ...] | list[str] = ()

    def written_params(self) -> dict[str, str]:
        """Parameters as text, by the names under which they are kept."""
        return {plain_name(name): str(value) for name, value in self.params.items()}

    def written_metrics(self) -> dict[str, float]:
        """Finite metrics, by the names under which they are kept."""
        return {plain_name(name): float(value) for name, value in self.metrics.items() if math.isfinite(value)}

    def written_tags(self) -> dict[str, str]:
        """The caller's tags and the record's own, which start with `vitrina.`."""
        own = {"vitrina.fingerprint": self.fingerprint}
        lost = sorted(plain_name(name) for name, value in self.metrics.items() if not math.isfinite(value))
        if lost:
            own["vitrina.metrics_not_finite"] = " ".join(lost)
        if self.git_commit:
            own["vitrina.git_commit"] = self.git_commit
        return {**{name: str(value) for name, value in self.tags.items()}, **own}

    def written_files(self) -> dict[str, Path]:
        """Files by the relative path at which they are kept: `figures/<name>.png`, `tables/`, `artifacts/`, `data/`;
        reports at their own paths."""
        kept = {
            f"{kind}/{_file_name(name, path)}": Path(path)
            for kind, files in (("figures", self.figures), ("tables", self.tables), ("artifacts", self.artifacts))
            for name, path in files.items()
        } | {name: Path(path) for name, path in self.reports.items()}
        if self.data_sample is not None:
            kept[f"data/{_file_name('sample', self.data_sample)}"] = Path(self.data_sample)
        return kept


class Registry(Protocol):
    """Every method raises RegistryError when the registry is out of reach or lacks what was asked for."""

    def register(self, folder: Path, record: RunRecord) -> ModelVersion:
        """Keeps a copy of the model folder and the record, and names the new version `challenger`.

        Raises ModelFormatError for a folder that is no sound model; nothing is registered then.
        """

    def champion(self) -> ModelVersion | None:
        """The version that is served; None before the first promotion."""

    def challenger(self) -> ModelVersion | None:
        """The version that waits to be promoted; None when there is none."""

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first."""

    def challenge(self, version: str | None) -> None:
        """Makes a version the challenger, the champion too if asked; None: nobody is."""

    def promote(self, version: str | None = None) -> ModelVersion:
        """Makes a version (without one: the challenger) the champion; the champion until now becomes `previous`.

        Promoting the champion again changes nothing.
        """

    def rollback(self) -> ModelVersion:
        """Makes the previous champion the champion again. One step: a second one in a row is refused."""

    def fetch(self, version: str, folder: Path) -> None:
        """Copies a version's model folder to `folder`, whole or not at all, and verified (else ModelFormatError)."""


def no_such_version(name: str, version: str, known: Iterable[str]) -> RegistryError:
    """The error that names the newest of the versions that there are; `known` begins with the newest."""
    there_are = ", ".join(islice(known, 10)) or "none yet"
    return RegistryError(f"model {name!r}: there is no version {version!r}. There are: {there_are}")


def plain_name(name: str) -> str:
    """A name that every registry takes: letters, digits, `_`, `-`, `.`, `/`, ':' and blanks; `@` becomes `_at_`."""
    return re.sub(r"[^\w./: \-]", "_", name.replace("@", "_at_"))


def _file_name(name: str, path: Path) -> str:
    suffix = Path(path).suffix
    stem = re.sub(r"[^\w.\-]", "_", plain_name(name))
    return stem if stem.endswith(suffix) else stem + suffix
