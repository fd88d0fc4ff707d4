"""Finds the files of a log and unpacks them: a folder (its events whole or by days), a zip of several files, or one
file; plain, .gz or .zip."""

from __future__ import annotations

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vitrina.errors import DataError

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
DATA_SUFFIXES = CSV_SUFFIXES + PARQUET_SUFFIXES + JSON_SUFFIXES
PACKED_SUFFIXES = (".gz", ".zip")
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of a workbook; the former are those of a zip, too."""
EVENTS = "events"
UNPACK_AGAIN = "Copy or download it again; a transfer that stopped halfway looks like this."


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A readable plain file. `name` is what the caller knows it by, `format` is csv, parquet or json."""

    path: Path
    name: str
    format: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files of one log, still packed; `name` is what the caller knows its events by."""

    events: tuple[Path, ...]
    name: str
    properties: tuple[Path, ...] = ()
    tree: Path | None = None


def locate(source: Path, work: Path) -> Source:
    """The files of a log by name (events, item_properties*, category_tree); `work` takes what must be unpacked."""
    folder = source_folder(source, work)
    return Source(events=(source,), name=str(source)) if folder is None else _locate_in(folder, str(source))


def first_byte(path: Path) -> bytes:
    """The first byte of a file, none of an empty one; `DataError` when the file may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(1)
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})",
            where=str(path),
            remedy="Close the program that has it open, or allow reading it.",
        ) from error


def source_folder(source: Path, work: Path) -> Path | None:
    """The folder that a source is, a zip of several files unpacked into `work`; None for one file."""
    if not source.exists():
        raise DataError("there is no such file or folder", where=str(source), remedy="Check the path.")
    if source.is_dir():
        return source
    members = _zip_members(source) if zipfile.is_zipfile(source) else []
    return None if len(members) < 2 else _unzip_all(source, members, work / "archive")


def files_by_stem(folder: Path, shown: str) -> dict[str, Path]:
    """The data files of a folder by their names without `.csv.gz` and the like, in order; `DataError` when two files
    have one name."""
    names = (path.name for path in folder.iterdir() if path.is_file())
    return {stem: folder / name for stem, name in names_by_stem(names, shown).items()}


def names_by_stem(names: Iterable[str], shown: str) -> dict[str, str]:
    """As `files_by_stem`, of files that need not be here."""
    by_stem: dict[str, str] = {}
    for name in sorted(name for name in names if not name.startswith(".")):
        stem = stem_of(name)
        if stem in by_stem:
            raise DataError(
                f"{stem} is there more than once ({by_stem[stem]}, {name})", where=shown, remedy="Keep one of them."
            )
        if stem:
            by_stem[stem] = name
    return by_stem


def _locate_in(folder: Path, shown: str) -> Source:
    by_stem = files_by_stem(folder, shown)
    halves = tuple(by_stem[stem] for stem in ("item_properties_part1", "item_properties_part2") if stem in by_stem)
    whole = (by_stem["item_properties"],) if "item_properties" in by_stem else ()
    if halves and whole:
        raise DataError("item_properties is there whole and in parts", where=shown, remedy="Keep one of them.")
    if len(halves) == 1:
        raise DataError(f"only {halves[0].name} of two parts is there", where=shown, remedy="Add the other part.")
    tree = by_stem.get("category_tree")
    days = day_files(folder)
    if days:
        return Source(events=tuple(days), name=f"{shown}/{EVENTS}", properties=whole or halves, tree=tree)
    known = {"item_properties", "item_properties_part1", "item_properties_part2", "category_tree"}
    others = [path for stem, path in by_stem.items() if stem not in known]
    events = by_stem["events"] if "events" in by_stem else (others[0] if len(others) == 1 else None)
    if events is None:
        found = found_in(folder)
        raise DataError(
            f"no events file is here (found: {found})",
            where=shown,
            remedy="Name it events.csv (or .csv.gz, .zip, .parquet, .jsonl), or give the path of the file itself.",
        )
    return Source(events=(events,), name=str(events), properties=whole or halves, tree=tree)


def found_in(folder: Path) -> str:
    """The names of a folder's files, for an error's text."""
    return ", ".join(sorted(path.name for path in folder.iterdir() if path.is_file())) or "nothing"


def day_files(folder: Path) -> list[Path]:
    """The files of a log that lies by days, `events/dt=YYYY-MM-DD/<name>`, in the order of the days."""
    return sorted(path for path in (folder / EVENTS).glob("dt=*/*") if path.is_file() and _is_data(path))


def unpack(path: Path, work: Path) -> DataFile:
    """The file as plain csv, parquet or json, judged by its first bytes and its name. `DataError` for a damaged
    one, and for a workbook."""
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError("the file is empty", where=str(path), remedy="Export the log again.")
    if magic in WORKBOOK_MARKS and path.suffix.lower() in WORKBOOK_SUFFIXES:
        raise DataError(
            "a workbook is read as a file of sales only", where=str(path), remedy="Save its sheet as .csv (UTF-8)."
        )
    if magic[:2] == b"\x1f\x8b":
        return _plain(_gunzip(path, work), str(path), path.name.removesuffix(".gz"))
    if magic[:2] == b"PK" or path.suffix == ".zip":
        members = _zip_members(path)
        if len(members) != 1:
            found = ", ".join(member.filename for member in members) or "nothing"
            raise DataError(
                f"one data file was expected in the zip, found {found}", where=str(path), remedy="Pack one."
            )
        folder = _unzip_all(path, members, work / f"{path.name}.unpacked")
        inside = folder / Path(members[0].filename).name
        return _plain(inside, f"{path}/{inside.name}", inside.name)
    if path.suffix == ".gz":
        raise DataError("the file is named .gz, but is no gzip file", where=str(path), remedy=UNPACK_AGAIN)
    return _plain(path, str(path), path.name)


def _plain(path: Path, shown: str, name: str) -> DataFile:
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError("the file is empty", where=shown, remedy="Export the log again.")
    suffix = Path(name).suffix.lower()
    if magic == b"PAR1" or suffix in PARQUET_SUFFIXES:
        return DataFile(path=path, name=shown, format="parquet")
    return DataFile(path=path, name=shown, format="json" if suffix in JSON_SUFFIXES else "csv")


def _gunzip(path: Path, work: Path) -> Path:
    work.mkdir(parents=True, exist_ok=True)
    plain = work / f"{path.name}.plain"
    try:
        with gzip.open(path, "rb") as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the gzip file is damaged or ends early ({error})", where=str(path), remedy=UNPACK_AGAIN
        ) from error
    return plain


def _zip_members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [one for one in archive.infolist() if not one.is_dir() and _is_data(Path(one.filename))]
    except zipfile.BadZipFile as error:
        raise DataError(f"the zip file is damaged ({error})", where=str(path), remedy=UNPACK_AGAIN) from error


def _unzip_all(path: Path, members: list[zipfile.ZipInfo], folder: Path) -> Path:
    """Members by their last name only, so that no path inside the zip leads elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in members:
                with archive.open(member) as packed, (folder / Path(member.filename).name).open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"the zip file is damaged ({error})", where=str(path), remedy=UNPACK_AGAIN) from error
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"the zip file cannot be unpacked ({error})", where=str(path), remedy="Pack it plainly."
        ) from error
    return folder


def _is_data(path: Path) -> bool:
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return not hidden and stem_of(path.name) != ""


def stem_of(name: str) -> str:
    """`events` of events.csv, events.csv.gz, events.zip; empty for a file that holds no data."""
    path = Path(name)
    packed = path.suffix.lower() in PACKED_SUFFIXES
    inner = path.with_suffix("") if packed else path
    if inner.suffix.lower() in DATA_SUFFIXES:
        return inner.stem
    return inner.name if packed else ""
