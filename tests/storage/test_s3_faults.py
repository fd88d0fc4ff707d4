"""What happens to objects in S3 when something breaks: a killed upload, damage, a server that restarts, wrong keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from waiting import wait

from vitrina.errors import ConfigError, DataError, StoreError
from vitrina.storage.s3_bucket import S3Access
from vitrina.storage.s3_objects import S3Objects

KILLED_AFTER = 20
UPLOAD = f"""
import itertools, os, signal, sys
from pathlib import Path
from vitrina.storage.s3_bucket import Bucket, S3Access
from vitrina.storage.s3_objects import S3Objects

whole, asked = Bucket.upload, itertools.count(1)

def upload(self, *arguments):
    if next(asked) > {KILLED_AFTER}:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *arguments)

Bucket.upload = upload
endpoint, key, secret, bucket, cache, folder = sys.argv[1:]
access = S3Access(endpoint=endpoint, access_key=key, secret_key=secret)
S3Objects(access, bucket, cache=Path(cache)).put_folder("data", Path(folder))
"""


def access_to(server, **other) -> S3Access:
    return S3Access(
        **{"endpoint": server.endpoint, "access_key": server.access_key, "secret_key": server.secret_key, **other}
    )


def blobs(server, bucket: str) -> dict[str, int]:
    found = server.client().list_objects_v2(Bucket=bucket, Prefix=".folders/").get("Contents", [])
    return {one["Key"]: one["LastModified"].timestamp() for one in found}


def filled(folder: Path, files: int, size: int) -> Path:
    folder.mkdir()
    for number in range(files):
        (folder / f"part{number:02d}").write_bytes(os.urandom(size))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_upload_leaves_the_old_folder_and_the_next_one_goes_on(s3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    objects = S3Objects(access_to(s3), bucket, cache=tmp_path / "cache")
    objects.put_folder("data", filled(tmp_path / "old", 2, 1000))
    new = filled(tmp_path / "new", 60, 300_000)
    arguments = [s3.endpoint, s3.access_key, s3.secret_key, bucket, str(tmp_path / "other"), str(new)]
    ended = subprocess.run([sys.executable, "-c", UPLOAD, *arguments], check=False)
    sent = blobs(s3, bucket)
    assert ended.returncode == -signal.SIGKILL and 2 < len(sent) <= 2 + KILLED_AFTER, "killed in the middle"
    objects.get_folder("data", tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "old")

    time.sleep(1.1)  # the store tells times in seconds
    objects.put_folder("data", new)
    after = blobs(s3, bucket)
    assert {key: after[key] for key in sent} == sent, "what was there is not sent again"
    objects.get_folder("data", tmp_path / "out")
    assert content(tmp_path / "out") == content(new)


def test_the_contents_before_the_last_two_go_after_the_grace(s3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    objects = S3Objects(access_to(s3), bucket, cache=tmp_path / "cache", grace=timedelta(seconds=2))
    for turn in range(4):
        objects.put_folder("data", filled(tmp_path / f"in{turn}", 1, 100))
        time.sleep(1.1)
    assert len(blobs(s3, bucket)) in (2, 3)
    objects.delete("data")
    assert blobs(s3, bucket) == {}


@pytest.mark.parametrize("cut", [False, True], ids=["flipped", "truncated"])
def test_damage_in_the_store_is_told_and_healed_as_the_error_says(s3, tmp_path: Path, cut: bool) -> None:
    bucket = s3.bucket()
    writer = S3Objects(access_to(s3), bucket, cache=tmp_path / "writer")
    source = filled(tmp_path / "in", 3, 5000)
    writer.put_folder("data", source)
    key = sorted(blobs(s3, bucket))[0]
    stored = bytearray(s3.client().get_object(Bucket=bucket, Key=key)["Body"].read())
    stored[2500] ^= 1
    s3.client().put_object(Bucket=bucket, Key=key, Body=bytes(stored[:4000] if cut else stored))
    reader = S3Objects(access_to(s3), bucket, cache=tmp_path / "reader")
    for _ in range(2):
        with pytest.raises(DataError, match=key.rpartition("/")[2]):
            reader.local("data")
    s3.client().delete_object(Bucket=bucket, Key=key)
    writer.put_folder("data", source)
    assert content(reader.local("data")) == content(source)


def test_a_download_that_stopped_goes_on(s3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    source = filled(tmp_path / "in", 1, 4 << 20)
    S3Objects(access_to(s3), bucket, cache=tmp_path / "writer").put_folder("data", source)
    reader = S3Objects(access_to(s3), bucket, cache=tmp_path / "reader")
    key = next(iter(blobs(s3, bucket)))
    begun = tmp_path / "begun"
    begun.write_bytes((source / "part00").read_bytes()[: 3 << 20])
    reader._bucket.download(key, begun, 4 << 20)
    assert begun.read_bytes() == (source / "part00").read_bytes()


def test_a_large_file_goes_in_parts(s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitrina.storage.s3_bucket.MULTIPART_BYTES", 6 << 20)
    monkeypatch.setattr("vitrina.storage.s3_bucket.PART_BYTES", 5 << 20)
    bucket = s3.bucket()
    source = filled(tmp_path / "in", 1, 12 << 20)
    S3Objects(access_to(s3), bucket, cache=tmp_path / "writer").put_folder("data", source)
    (key,) = blobs(s3, bucket)
    assert s3.client().head_object(Bucket=bucket, Key=key)["ETag"].strip('"').endswith("-3")
    reader = S3Objects(access_to(s3), bucket, cache=tmp_path / "reader")
    assert content(reader.local("data")) == content(source)


def test_a_restart_of_the_server_is_survived(s3_alone, tmp_path: Path) -> None:
    bucket = s3_alone.bucket()
    source = filled(tmp_path / "in", 40, 500_000)
    objects = S3Objects(access_to(s3_alone, attempts=20), bucket, cache=tmp_path / "writer")
    failed: list[BaseException] = []

    def send() -> None:
        try:
            objects.put_folder("data", source)
        except BaseException as error:
            failed.append(error)

    sending = threading.Thread(target=send)
    sending.start()
    wait(lambda: len(blobs(s3_alone, bucket)) >= 5 or failed != [], pause=0.01)
    s3_alone.stop()
    time.sleep(1)
    s3_alone.start()
    sending.join()
    assert failed == []
    assert content(S3Objects(access_to(s3_alone), bucket, cache=tmp_path / "reader").local("data")) == content(source)


def test_what_is_wrong_with_the_store_is_told_without_the_secret(s3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    quick = {"attempts": 2, "connect_seconds": 1.0}
    cases = [
        (access_to(s3, secret_key="wrong-secret"), bucket, ConfigError, "VITRINA_S3_SECRET_KEY"),
        (access_to(s3, access_key="nobody"), bucket, ConfigError, "VITRINA_S3_ACCESS_KEY"),
        (access_to(s3), "no-such-bucket", ConfigError, "no such bucket"),
        (access_to(s3, endpoint="http://127.0.0.1:9", **quick), bucket, StoreError, "does not answer"),
        (access_to(s3, endpoint="nonsense"), bucket, ConfigError, "VITRINA_S3_ENDPOINT"),
    ]
    for access, name, kind, words in cases:
        objects = S3Objects(access, name, cache=tmp_path / "cache")
        for call in (
            lambda objects=objects: objects.get_bytes("a"),
            lambda objects=objects: objects.put_bytes("a", b""),
            lambda objects=objects: objects.list(),
        ):
            with pytest.raises(kind, match=words) as told:
                call()
            assert name in str(told.value) or "nonsense" in str(told.value)
            assert access.secret_key not in str(told.value)
        assert access.secret_key not in repr(access)


def test_the_cache_keeps_what_is_unchanged_and_two_contents_of_a_key(s3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    writer = S3Objects(access_to(s3), bucket, cache=tmp_path / "writer")
    reader = S3Objects(access_to(s3), bucket, cache=tmp_path / "reader")
    places = []
    for turn in range(3):
        writer.put_folder("a/b", filled(tmp_path / f"in{turn}", 1, 50))
        places.append(reader.local("a/b"))
        written = places[-1].stat().st_ino
        assert reader.local("a/b").stat().st_ino == written
    assert [place.exists() for place in places] == [False, True, True]
