"""One bucket of an S3 store: retried calls, downloads that go on where they stopped, and errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from vitrina.errors import ConfigError, DataError, StoreError

MULTIPART_BYTES = 64 << 20
PART_BYTES = 16 << 20
PIECE_BYTES = 1 << 20
LONGEST_PAUSE = 20.0
THREADS = 4
T = TypeVar("T")
ABSENT = ("NoSuchKey", "404", "NotFound")
REFUSED = {
    "NoSuchBucket": "there is no such bucket. Create it, or correct VITRINA_OBJECTS_URI or VITRINA_EVENTS_URI",
    "InvalidAccessKeyId": "the access key is unknown. Correct VITRINA_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong. Correct VITRINA_S3_SECRET_KEY",
    "AccessDenied": "the key may not do this. Give its identity the right to list, read and write the bucket",
    "RequestTimeTooSkewed": "the clocks differ too much. Set this machine's clock",
}


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """Where the store is and who asks. Timeouts are seconds; a call is tried `attempts` times, with growing pauses."""

    access_key: str
    secret_key: str = field(repr=False)
    endpoint: str | None = None
    region: str = "us-east-1"
    attempts: int = 8
    connect_seconds: float = 5.0
    read_seconds: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One stored object; `key` is below the bucket's prefix, `size` in bytes, `modified` by the store's clock."""

    key: str
    size: int
    etag: str
    modified: datetime


class _NoAnswerError(StoreError):
    """The store may answer when it is asked again."""


class Bucket:
    """The objects of `bucket` below `prefix`. Safe for threads.

    Every method raises `StoreError` when the store cannot be reached or fails after all attempts, `ConfigError` when
    the bucket or the keys are wrong; neither tells the secret.
    """

    def __init__(self, access: S3Access, bucket: str, prefix: str = "") -> None:
        self.access = access
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def where(self) -> str:
        """The store as errors name it."""
        return f"s3://{self.bucket} at {self.access.endpoint or 'AWS'}"

    def uri(self, key: str) -> str:
        """The address of an object."""
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def get(self, key: str) -> bytes | None:
        """A small object, None when there is none."""

        def ask() -> bytes | None:
            try:
                return bytes(self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read())
            except self._error as error:
                if _code(error) in ABSENT:
                    return None
                raise

        return self._patiently(key, ask)

    def put(self, key: str, content: bytes) -> None:
        """Writes a small object whole."""
        self._patiently(key, lambda: self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=content))

    def upload(self, path: Path, key: str, metadata: Mapping[str, str] | None = None) -> None:
        """Writes a file, a large one in parts that are sent side by side and appear together."""
        from boto3.s3.transfer import TransferConfig

        several = TransferConfig(multipart_threshold=MULTIPART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)

        def send() -> None:
            with path.open("rb") as file:
                self._client.upload_fileobj(
                    file, self.bucket, self.prefix + key, ExtraArgs={"Metadata": dict(metadata or {})}, Config=several
                )

        self._patiently(key, send)

    def download(self, key: str, path: Path, size: int) -> None:
        """Writes an object of `size` bytes to `path`, going on after what is there already; the content is not checked.

        `DataError` when there is no such object, or it is shorter.
        """
        path.touch()

        def go_on() -> None:
            have = path.stat().st_size
            if have >= size:
                return
            try:
                self._append(key, path, have)
            except self._error as error:
                if _code(error) not in (*ABSENT, "InvalidRange", "416"):
                    raise
                raise self._too_short(key) from error
            if path.stat().st_size < size:
                raise self._too_short(key)

        self._patiently(key, go_on)

    def metadata(self, key: str) -> dict[str, str]:
        """What `upload` was told to keep beside an object."""
        return self._patiently(
            key, lambda: dict(self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)["Metadata"])
        )

    def stored(self, prefix: str = "", *, most: int | None = None) -> tuple[list[Stored], datetime]:
        """The objects whose keys begin with `prefix`, sorted by key, and the time that it is for the store."""
        found: list[Stored] = []
        more: dict[str, Any] = {"MaxKeys": most} if most else {}
        while True:
            page = self._page(prefix, more)
            found += [
                Stored(
                    key=one["Key"][len(self.prefix) :],
                    size=one["Size"],
                    etag=one["ETag"].strip('"'),
                    modified=one["LastModified"],
                )
                for one in page.get("Contents", [])
            ]
            if most or not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        return sorted(found, key=lambda one: one.key), _date(page)

    def top(self) -> tuple[list[str], list[str]]:
        """The keys directly below the prefix, and the first names of the keys further below."""

        def ask() -> tuple[list[str], list[str]]:
            keys: list[str] = []
            names: list[str] = []
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix, Delimiter="/"
            )
            for page in pages:
                keys += [one["Key"][len(self.prefix) :] for one in page.get("Contents", [])]
                names += [one["Prefix"][len(self.prefix) : -1] for one in page.get("CommonPrefixes", [])]
            return keys, names

        return self._patiently("", ask)

    def delete(self, keys: list[str]) -> None:
        """Removes objects; those that are not there are none to remove."""
        for begin in range(0, len(keys), 1000):
            batch = [{"Key": self.prefix + key} for key in keys[begin : begin + 1000]]
            for fault in self._patiently(batch[0]["Key"], partial(self._delete, batch)):
                raise StoreError(f"{self.where}: {fault['Key']} cannot be removed ({fault['Message']})")

    def drop_unfinished(self, prefix: str, before: datetime) -> None:
        """Forgets the parts of large uploads below `prefix` that were begun before a time and never finished."""

        def drop() -> None:
            found = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.prefix + prefix)
            for one in found.get("Uploads", []):
                if one["Initiated"] < before:
                    self._client.abort_multipart_upload(Bucket=self.bucket, Key=one["Key"], UploadId=one["UploadId"])

        self._patiently(prefix, drop)

    def _page(self, prefix: str, more: Mapping[str, Any]) -> dict[str, Any]:
        return self._patiently(
            prefix, lambda: self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + prefix, **more)
        )

    def _delete(self, batch: list[dict[str, str]]) -> list[dict[str, str]]:
        answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})
        return list(answer.get("Errors", []))

    def _too_short(self, key: str) -> DataError:
        return DataError("the object is missing or too short", where=self.uri(key), remedy="Write it again")

    def _append(self, key: str, path: Path, have: int) -> None:
        part = {"Range": f"bytes={have}-"} if have else {}
        answer = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key, **part)
        with path.open("ab") as file:
            for piece in answer["Body"].iter_chunks(PIECE_BYTES):
                file.write(piece)

    def _patiently(self, key: str, work: Callable[[], T]) -> T:
        """What the work gives; it is done again, after growing pauses, while the store does not answer."""
        for attempt in range(self.access.attempts - 1):
            try:
                with self._told(key):
                    return work()
            except _NoAnswerError:
                time.sleep(min(0.5 * 2**attempt, LONGEST_PAUSE))
        with self._told(key):
            return work()

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        access = self.access
        try:
            return boto3.session.Session().client(
                "s3",
                endpoint_url=access.endpoint,
                aws_access_key_id=access.access_key,
                aws_secret_access_key=access.secret_key,
                region_name=access.region,
                config=Config(
                    connect_timeout=access.connect_seconds,
                    read_timeout=access.read_seconds,
                    retries={"mode": "standard", "total_max_attempts": 2},
                    max_pool_connections=16,
                    s3={"addressing_style": "path"} if access.endpoint else {},
                    response_checksum_validation="when_required",
                ),
            )
        except ValueError as error:
            raise ConfigError(
                f"VITRINA_S3_ENDPOINT {access.endpoint!r}: is no address ({error}). Write for instance http://s3:8333"
            ) from error

    @property
    def _error(self) -> type[Exception]:
        from botocore.exceptions import ClientError

        return ClientError

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except self._error as error:
            code = _code(error)
            if code in REFUSED:
                raise ConfigError(f"{self.where}: {REFUSED[code]}") from error
            kind = _NoAnswerError if _status(error) >= 500 else StoreError
            raise kind(f"{self.where}: refuses {key!r} ({error}). See the log of the store") from error
        except (BotoCoreError, HTTPError, ConnectionError) as error:
            raise _NoAnswerError(
                f"{self.where}: does not answer ({error}). Start it, or correct VITRINA_S3_ENDPOINT"
            ) from error


def side_by_side(work: Callable[[str], None], over: Iterable[str]) -> None:
    """Does the work for every name, a few at a time; the first error ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        pending = [pool.submit(work, name) for name in over]
        try:
            for one in pending:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"])  # type: ignore[attr-defined]  # only called with a ClientError


def _status(error: Exception) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])  # type: ignore[attr-defined]  # as above


def _date(answer: Mapping[str, Any]) -> datetime:
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
