"""What stands at the key of a folder object or a published name in a store without folders: a small JSON document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from vitrina.errors import DataError

MARK = "vitrina_object"
_BEGIN = f'{{"{MARK}": '.encode()


@dataclass(frozen=True, kw_only=True)
class FileMark:
    """Size in bytes and sha256 of a file's content."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        with path.open("rb") as file:
            return cls(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())

    def is_that_of(self, path: Path) -> bool:
        """Whether a file has this content."""
        return path.stat().st_size == self.size and FileMark.of(path) == self


@dataclass(frozen=True, kw_only=True)
class FolderManifest:
    """The files of a folder by their paths inside it; `before` holds the sha256 of those of the content before."""

    files: Mapping[str, FileMark]
    before: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of a local folder; links are followed, empty folders left out."""
        return cls(files={path: FileMark.of(folder / path) for path in sorted(_files_under(folder))})

    @property
    def token(self) -> str:
        """A name of the content: equal for equal files."""
        listed = json.dumps([[path, file.size, file.sha256] for path, file in sorted(self.files.items())])
        return hashlib.sha256(listed.encode()).hexdigest()[:16]

    def after(self, old: FolderManifest) -> Self:
        """This manifest as the one that replaces `old`."""
        before = old.before if old.token == self.token else {file.sha256 for file in old.files.values()}
        return replace(self, before=frozenset(before))

    def needed(self) -> frozenset[str]:
        """The sha256 of every content that a reader of this or the one before may still ask for."""
        return self.before | {file.sha256 for file in self.files.values()}

    def render(self) -> bytes:
        files = {path: {"size": file.size, "sha256": file.sha256} for path, file in self.files.items()}
        return json.dumps({MARK: "folder", "files": files, "before": sorted(self.before)}).encode()


@dataclass(frozen=True, kw_only=True)
class Name:
    """A published name: stands for the folder at `target`."""

    MOST_BYTES: ClassVar[int] = 300
    target: str

    def render(self) -> bytes:
        return json.dumps({MARK: "name", "target": self.target}).encode()


def starts_like_one(content: bytes) -> bool:
    """Whether a file would be taken for a manifest."""
    return content.startswith(_BEGIN)


def read_manifest(content: bytes, where: str) -> FolderManifest | Name | bytes:
    """The manifest or name that the content is, or the content of a plain file. `DataError` for a damaged one."""
    if not starts_like_one(content):
        return content
    try:
        document = json.loads(content)
        if document[MARK] == "name":
            return Name(target=str(document["target"]))
        files = {
            _inside(path): FileMark(size=int(one["size"]), sha256=_hex(one["sha256"]))
            for path, one in document["files"].items()
        }
        return FolderManifest(files=files, before=frozenset(document["before"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the manifest is damaged ({error})", where=where, remedy="Run the step that writes it again"
        ) from error


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} leads out of the folder")
    return path


def _hex(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no sha256")
    return text


def _files_under(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()
