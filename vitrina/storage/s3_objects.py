"""Objects in an S3 bucket, read through a cache in a local folder (docs/decisions/0005-objects-on-s3.md).

    <prefix>/<key>                                   a file, a folder's manifest, or a published name
    <prefix>/.folders/<key with '~'>/<sha256>        the content of a folder's files
    <cache>/<key with '~'>/<token>/                  a folder as fetched or written here, checked

A manifest is written after everything that it lists, so a reader finds the old folder or the new one, whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from vitrina.errors import ConfigError, DataError
from vitrina.storage.building import building, claimed, clear_dead, locked
from vitrina.storage.manifest import FolderManifest, Name, read_manifest, starts_like_one
from vitrina.storage.objects import REMEDY, check_key
from vitrina.storage.s3_bucket import Bucket, S3Access, side_by_side

GRACE = timedelta(hours=24)
KEPT = 2
UNUSED_SECONDS = 14 * 24 * 3600


class S3Objects:
    """Objects below `prefix` of a bucket; `cache` is a folder of this machine, shared by its processes.

    Content that no manifest needs any more is removed when the key is written again, once it is older than `grace`: an
    upload that is under way, or was interrupted, counts on what it has sent. An interrupted upload goes on from there.
    """

    def __init__(
        self, access: S3Access, bucket: str, prefix: str = "", *, cache: Path, grace: timedelta = GRACE
    ) -> None:
        self._bucket = Bucket(access, bucket, prefix)
        place = f"{access.endpoint or 'aws'} {bucket} {prefix.strip('/')}"
        self._cache = Path(cache).absolute() / hashlib.sha256(place.encode()).hexdigest()[:12]
        self._grace = grace

    def uri(self, key: str) -> str:
        return self._bucket.uri(check_key(key))

    def put_folder(self, key: str, folder: Path) -> None:
        if not Path(folder).is_dir():
            raise DataError("there is no such folder", where=str(folder), remedy="Write it before it is stored")
        self._refuse_other_kind(key, folder=True)
        self._send(key, Path(folder))

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        self._refuse_other_kind(key, folder=True)
        home = self._home(key)
        with claimed(home, ".") as staged:
            yield staged
            manifest = self._send(key, staged)
            with locked(home):
                clear_dead(home, ".", own=staged)
                content = home / manifest.token
                if not content.is_dir():
                    staged.rename(content)
                self._used(content)

    def get_folder(self, key: str, folder: Path) -> None:
        while True:
            at, manifest = self._folder(key)
            try:
                with building(folder) as staged:
                    self._fetch(at, manifest, staged)
                return
            except DataError:
                if self._folder(key)[1].token == manifest.token:
                    raise
                # replaced during the download: fetch what stands there now

    def local(self, key: str) -> Path:
        while True:
            at, manifest = self._folder(key)
            home = self._home(at)
            content = home / manifest.token
            with locked(home):
                if content.is_dir():
                    return self._used(content)
                partial = home / f"{manifest.token}.part"
                for other in home.glob("*.part"):
                    if other != partial:
                        shutil.rmtree(other)
                partial.mkdir(exist_ok=True)
                try:
                    self._fetch(at, manifest, partial)
                except DataError:
                    if self._folder(key)[1].token == manifest.token:
                        raise
                    continue
                partial.rename(content)
                self._drop_unused(home)
                return self._used(content)

    def publish(self, key: str, target: str) -> None:
        found = self._read(check_key(target))
        if isinstance(found, Name):
            raise ConfigError(
                f"object key {target!r}: is a published name itself. Publish the folder that it stands for"
            )
        if not isinstance(found, FolderManifest):
            raise DataError("there is no such folder object", where=target, remedy=REMEDY)
        if key != target:
            self._refuse_other_kind(key, folder=True)
            self._bucket.put(key, Name(target=target).render())

    def put_bytes(self, key: str, content: bytes) -> None:
        self._refuse_other_kind(key, folder=False)
        if starts_like_one(content):
            raise ConfigError(f"object key {key!r}: the file begins like a manifest. Begin it in another way")
        self._bucket.put(key, content)

    def get_bytes(self, key: str) -> bytes:
        found = self._read(check_key(key))
        if not isinstance(found, bytes):
            raise DataError("there is no such file object", where=key, remedy=REMEDY)
        return found

    def exists(self, key: str) -> bool:
        found = self._read(check_key(key))
        if isinstance(found, Name):
            found = self._read(found.target)
        return found is not None

    def list(self, prefix: str = "") -> list[str]:
        keys, tops = ([], [check_key(prefix)]) if prefix else self._bucket.top()
        keys = [key for key in keys if self.exists(key)]
        for top in tops:
            if not top.startswith("."):
                found, _ = self._bucket.stored(f"{top}/")
                keys += [one.key for one in found if one.size > Name.MOST_BYTES or self.exists(one.key)]
        return sorted(keys)

    def delete(self, key: str) -> None:
        if self._read(check_key(key)) is not None:
            self._bucket.delete([key])
            contents, _ = self._bucket.stored(_contents(key))
            self._bucket.delete([one.key for one in contents])

    def _read(self, key: str) -> bytes | FolderManifest | Name | None:
        content = self._bucket.get(key)
        return None if content is None else read_manifest(content, self.uri(key))

    def _folder(self, key: str) -> tuple[str, FolderManifest]:
        """The key and manifest of the folder that `key` is or stands for."""
        at, found = key, self._read(check_key(key))
        if isinstance(found, Name):
            at, found = found.target, self._read(found.target)
        if not isinstance(found, FolderManifest):
            raise DataError("there is no such folder object", where=key, remedy=REMEDY)
        return at, found

    def _refuse_other_kind(self, key: str, *, folder: bool) -> None:
        names = check_key(key).split("/")
        for depth in range(1, len(names)):
            above = "/".join(names[:depth])
            if self._bucket.get(above) is not None:
                raise ConfigError(f"object key {key!r}: {above} is an object itself. Use another key")
        found = self._read(key)
        if found is not None and folder is isinstance(found, bytes):
            raise ConfigError(
                f"object key {key!r}: holds a {'file' if folder else 'folder'}. Use another key, or delete it first"
            )
        if self._bucket.stored(f"{key}/", most=1)[0]:
            raise ConfigError(f"object key {key!r}: other keys stand below it. Use another key")

    def _send(self, key: str, folder: Path) -> FolderManifest:
        """Uploads what the store lacks of a folder, then its manifest, then removes what is not needed any more."""
        manifest = FolderManifest.of(folder)
        contents = _contents(key)
        stored, now = self._bucket.stored(contents)
        there = {one.key: one.size for one in stored if now - one.modified < self._grace / 2}
        paths = {contents + file.sha256: (folder / path, file.size) for path, file in manifest.files.items()}
        side_by_side(
            lambda blob: self._bucket.upload(paths[blob][0], blob),
            [blob for blob, (_, size) in paths.items() if there.get(blob) != size],
        )
        before = self._read(key)
        if isinstance(before, FolderManifest):
            manifest = manifest.after(before)
        self._bucket.put(key, manifest.render())
        needed = {contents + sha256 for sha256 in manifest.needed()}
        self._bucket.delete([one.key for one in stored if one.key not in needed and now - one.modified > self._grace])
        self._bucket.drop_unfinished(contents, now - self._grace)
        return manifest

    def _fetch(self, key: str, manifest: FolderManifest, folder: Path) -> None:
        """Downloads into `folder` what it lacks; every file is checked before it gets its name."""

        def fetch(path: str) -> None:
            file, target = manifest.files[path], folder / path
            blob = _contents(key) + file.sha256
            if target.is_file() and target.stat().st_size == file.size:
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.partial")
            for _ in range(2):
                self._bucket.download(blob, partial, file.size)
                if file.is_that_of(partial):
                    partial.replace(target)
                    return
                partial.unlink()
            raise DataError(
                f"{path} of {key} is damaged in the store: it is not what was written",
                where=self._bucket.uri(blob),
                remedy="Delete that object, then run the step that writes it again",
            )

        side_by_side(fetch, manifest.files)

    def _home(self, key: str) -> Path:
        home = self._cache / check_key(key).replace("/", "~")
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _used(self, content: Path) -> Path:
        """Marks a content of the cache as used, and removes all but it and the one used before."""
        os.utime(content)
        os.utime(content.parent)
        others = [
            path
            for path in content.parent.iterdir()
            if path.is_dir() and path != content and not path.name.startswith(".") and path.suffix != ".part"
        ]
        for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
            shutil.rmtree(old)
        return content

    def _drop_unused(self, home: Path) -> None:
        """Removes keys from the cache that nobody used for two weeks."""
        now = home.stat().st_mtime
        for other in self._cache.iterdir():
            if now - other.stat().st_mtime > UNUSED_SECONDS:
                shutil.rmtree(other, ignore_errors=True)


def _contents(key: str) -> str:
    return f".folders/{key.replace('/', '~')}/"
