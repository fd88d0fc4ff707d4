"""The caller's files in the object store, as they are, and what the caller calls them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from vitrina.errors import ConfigError, DataError
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine
    from vitrina.events.raw_file import RawOneFile

FILES = "files"
SOURCE = "source.json"


class Report(Protocol):
    """What a reader found."""

    def summary(self) -> str:
        """Lines for people."""


Summarised = TypeVar("Summarised", bound=Report)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What lies in a `raw` folder: `data` and `columns` as the caller gave them; `single` names the file when it was
    one, and not a folder."""

    data: str
    columns: str | None = None
    single: str | None = None

    @classmethod
    def read(cls, raw: Path) -> Self:
        """What `write` wrote."""
        return cls(**json.loads((raw / SOURCE).read_text()))

    def write(self, raw: Path) -> None:
        """Writes source.json into the folder."""
        (raw / SOURCE).write_text(json.dumps(asdict(self)))

    def files(self, raw: Path) -> Path:
        """The file or folder to read."""
        return raw / FILES / self.single if self.single else raw / FILES


def asked_data(run: Run) -> str:
    """What `--data` says; `ConfigError` when it says nothing."""
    if run.data is None:
        raise ConfigError("there is no data to train on. Name a folder or file: --data PATH")
    return run.data


def take(data: str, raw: Path) -> Source:
    """Copies a file, or the files of a folder, into a `raw` folder. `DataError` when there is no such thing."""
    source = Path(data)
    if not source.exists():
        raise DataError("there is no such file or folder", where=data, remedy="Check --data.")
    (raw / FILES).mkdir()
    for path in [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file()):
        shutil.copy(path, raw / FILES / path.name)
    return Source(data=data, single=source.name if source.is_file() else None)


def take_file(run: Run, place: RawOneFile) -> dict[str, Any]:
    """Takes the one file of a place into `raw` as it is; what is told of it."""
    with run.objects.writing(run.key("raw")) as folder:
        taken = place.fetch(folder / FILES)
        Source(data=asked_data(run), columns=run.columns, single=place.name).write(folder)
    return {"data": asked_data(run), **taken.as_json()}


def size_of(raw: Path) -> int:
    """Bytes of everything that was taken."""
    return sum(path.stat().st_size for path in raw.rglob("*") if path.is_file())


def validated(
    run: Run, read: Callable[[Source, Path, Path, LocalEngine, Callable[[str, float], None]], Summarised]
) -> Summarised:
    """What `read` tells of the file or folder in `raw` that it validates: it gets the source, that path, the folder to
    write, and who hears of progress (what, the share that is done). Errors and notes name what the caller gave."""
    from vitrina.engine import LocalEngine

    def progress(what: str, share: float) -> None:
        run.progress(what, round(share * 100), 100)

    raw = run.local("raw")
    source = Source.read(raw)
    found = source.files(raw)
    try:
        with LocalEngine(memory_limit=run.memory, threads=run.threads) as engine, run.writing("validated") as target:
            report = read(source, found, target, engine, progress)
    except DataError as error:
        where = error.where.replace(str(found), source.data)
        raise DataError(error.problem, where=where, remedy=error.remedy) from error
    for line in report.summary().splitlines():
        run.note(line.replace(str(found), source.data))
    return report
