"""From the address of a store to the store: a local folder or an S3 bucket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vitrina.errors import ConfigError
from vitrina.storage.objects import FolderObjects, Objects
from vitrina.storage.s3_bucket import S3Access
from vitrina.storage.s3_objects import S3Objects


def objects_for(uri: str, *, cache: Path, access: S3Access | None = None) -> Objects:
    """The store at `s3://BUCKET[/prefix]`, at a `file://` address or in a folder; `cache` keeps what S3 gave.

    `ConfigError` for another address, or for S3 without keys. Nothing is opened yet.
    """
    if uri.startswith("s3://"):
        bucket, prefix = split_s3(uri)
        return S3Objects(needed(access, uri), bucket, prefix, cache=cache)
    return FolderObjects(local_path(uri))


def access_from(environment: Mapping[str, str], *, attempts: int = 8, read_seconds: float = 60.0) -> S3Access | None:
    """The keys of S3 in an environment's VITRINA_S3_* settings, None without any; `ConfigError` for half of them."""
    key, secret = environment.get("VITRINA_S3_ACCESS_KEY"), environment.get("VITRINA_S3_SECRET_KEY")
    if not key and not secret:
        return None
    if not key or not secret:
        lost = "VITRINA_S3_SECRET_KEY" if key else "VITRINA_S3_ACCESS_KEY"
        raise ConfigError(f"{lost} is not set, but the other key of S3 is. Set both or none")
    return S3Access(
        endpoint=environment.get("VITRINA_S3_ENDPOINT") or None,
        access_key=key,
        secret_key=secret,
        region=environment.get("VITRINA_S3_REGION") or "us-east-1",
        attempts=attempts,
        read_seconds=read_seconds,
    )


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and prefix of an `s3://` address."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigError(f"{uri!r}: names no bucket. Write s3://BUCKET or s3://BUCKET/prefix")
    return bucket, prefix.strip("/")


def needed(access: S3Access | None, uri: str) -> S3Access:
    """The access itself; `ConfigError` without one."""
    if access is None:
        raise ConfigError(
            f"{uri}: there are no keys for S3. Set VITRINA_S3_ACCESS_KEY and VITRINA_S3_SECRET_KEY, "
            "and VITRINA_S3_ENDPOINT unless it is AWS"
        )
    return access


def local_path(uri: str) -> Path:
    """The folder or file of a path or a `file://` address."""
    if uri.startswith("file://"):
        return Path(unquote(urlsplit(uri).path))
    if "://" in uri:
        raise ConfigError(f"{uri!r}: is no address of a store. Write s3://BUCKET/prefix, file:///folder or a path")
    return Path(uri)
