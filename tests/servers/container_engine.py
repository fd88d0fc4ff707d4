"""A container engine for tests: the one that is reachable, else one started by the tools beside the repository.

Where no image registry is reachable, images of other projects are built from `tests/stack/images` under the same tags.
Run as a program, with the standard library alone, it builds what tests/stack will ask for, so that this can be done
beside other tests.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL_IMAGES = os.environ.get("VITRINA_REAL_IMAGES") == "1"
TAG = "test"
STAND_INS = ROOT / "tests" / "stack" / "images"
TOOLS = Path(os.environ.get("VITRINA_TOOLS") or ROOT.parent / "shared" / "tools").resolve()
# Folder of a stand-in -> the tag that docker-compose.yaml or a Dockerfile asks for, and files it needs beside its own.
OTHERS: dict[str, tuple[str, dict[str, Path]]] = {
    "nginx": ("nginx:1.30.6", {}),
    "postgres": ("pgvector/pgvector:0.8.1-pg18", {}),
    "seaweedfs": ("chrislusf/seaweedfs:4.48", {}),
    "prometheus": ("prom/prometheus:v3.5.3", {}),
    "alertmanager": ("prom/alertmanager:v0.34.1", {}),
    "graphite": ("graphiteapp/graphite-statsd:1.1.10-5", {}),
    "airflow": (
        "apache/airflow:3.3.2-python3.11",
        {"constraints.txt": ROOT / "requirements" / "airflow.txt"},
    ),
}
# Nothing that could stand in for them can be had without an image registry.
LEFT_OUT = {"grafana": "grafana/grafana:12.4.4"}
TELEGRAM = ("vitrina-tests/telegram", {"telegram_server.py": ROOT / "tests" / "servers" / "telegram_server.py"})
OURS = {"app": "app/Dockerfile", "mlflow": "mlflow_server/Dockerfile", "airflow": "airflow/Dockerfile"}


class EngineMissing(Exception):  # noqa: N818  a state of the machine
    """No engine is reachable and none can be started."""


@dataclass
class Engine:
    """`environment` reaches the engine; `private` when its ports lie in a network of its own; `seconds` by stage, said
    when it ends."""

    environment: dict[str, str]
    private: bool
    real_images: bool
    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def find(cls, say: Callable[[str], None]) -> Engine:
        """`EngineMissing` when there is neither Docker nor the tools that start an engine."""
        if _answers(dict(os.environ)):
            private = (os.environ.get("DOCKER_HOST") or "").endswith("/engine/docker.sock")
            return cls(environment=dict(os.environ), private=private, real_images=REAL_IMAGES, say=say)
        script = TOOLS / "engine.sh"
        if not script.is_file():
            raise EngineMissing(f"no docker answers, and {script} is not there to start one")
        engine = cls(environment=dict(os.environ), private=True, real_images=REAL_IMAGES, say=say)
        with engine.stage("engine"), _alone("engine"):
            if shutil.which("dockerd") is None or not _has_compose():
                engine._tool("install")
            engine._tool("start")
        line = engine._tool("env").strip()
        engine.environment["DOCKER_HOST"] = line.partition("DOCKER_HOST=")[2]
        with engine.stage("base images"), _alone("images"):
            engine.run(["bash", str(TOOLS / "base_images.sh")])
        return engine

    def build_images(self, tag: str) -> None:
        """Everything that docker-compose.yaml names, and the Telegram server of the tests; two at a time.

        Waits while another process builds: what that one made is not made again.
        """
        others = {} if self.real_images else OTHERS

        beside_airflow = ("airflow", "alertmanager", "graphite")  # the longest image, and what makes both chains equal

        def airflow() -> None:
            for name in beside_airflow:
                if name in others:
                    self._build_other(name, *others[name])
            self._build_ours("airflow", tag)

        def rest() -> None:
            for name, (image, extra) in {**others, "telegram": TELEGRAM}.items():
                if name not in beside_airflow:
                    self._build_other(name, image, extra)
            for name in ("app", "mlflow"):
                self._build_ours(name, tag)

        with self.stage("all images"), _alone("images"), ThreadPoolExecutor(2) as pool:
            for chain in [pool.submit(airflow), pool.submit(rest)]:
                chain.result()

    def _build_other(self, name: str, image: str, extra: dict[str, Path]) -> None:
        with self.stage(f"  image {image}"), tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch) / name
            shutil.copytree(STAND_INS / name, context)
            for file, source in extra.items():
                shutil.copyfile(source, context / file)
            self.run(["docker", "build", "--tag", image, str(context)])

    def _build_ours(self, name: str, tag: str) -> None:
        with self.stage(f"  image vitrina/{name}"):
            self.run(["docker", "build", "--tag", f"vitrina/{name}:{tag}", "--file", OURS[name], "."])

    def open_port(self, port: int) -> None:
        """Makes a published port reachable from here."""
        if self.private:
            self._tool("fwd", str(port))

    def run(self, command: list[str], seconds: float = 2400, **environment: str) -> str:
        """Runs a command at the root of the repository; its output, which is in the error when it fails."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Notes how long something took."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - begun
            self.say(f"{name}: {self.seconds[name]:.0f} s")

    def _tool(self, *arguments: str) -> str:
        return self.run(["bash", str(TOOLS / "engine.sh"), *arguments])


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """Lets one process of this machine in at a time."""
    with (Path(tempfile.gettempdir()) / f"vitrina-tests-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers(environment: dict[str, str]) -> bool:
    if shutil.which("docker") is None or not _has_compose():
        return False
    return subprocess.run(["docker", "info"], env=environment, capture_output=True).returncode == 0


def _has_compose() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


if __name__ == "__main__":
    Engine.find(lambda line: print(line, file=sys.stderr)).build_images(TAG)  # noqa: T201
