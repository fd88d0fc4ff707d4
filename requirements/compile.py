"""Writes the requirement files and the constraints of `uv sync`: pyproject.toml flows in, exact versions flow out.

Run as `make requirements [CONSTRAINTS=FILE]`. Without a constraints file the versions of pyproject.toml's
`[tool.uv]` hold (for Airflow and the MLflow server those of their own files), so only what was added or removed
changes; with one, its versions are taken instead.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = "# Made by `make requirements` from {source}; do not edit.\n"
FILES = {
    "requirements.txt": ("serve", "pipeline", "traces"),
    "requirements-serve.txt": ("serve", "traces"),
    "requirements-dev.txt": ("serve", "pipeline", "traces", "dev"),
}
# Environments that Vitrina's own is not part of; without a constraints file each keeps the versions that it has.
APART = {
    "requirements/airflow.in": ROOT / "requirements" / "airflow.txt",
    "mlflow_server/requirements.in": ROOT / "mlflow_server" / "requirements.txt",
}
EVERYTHING = ("serve", "pipeline", "traces", "spark", "reviews", "dev")
# What torch pulls in for GPUs follows from torch's own exact pins.
FOLLOWS_TORCH = ("cuda-", "nvidia-", "triton==")
PINNED_BLOCK = re.compile(r"(?<=^constraint-dependencies = \[\n).*?(?=^\])", re.MULTILINE | re.DOTALL)


def resolve(source: str, extras: tuple[str, ...], constraints: Path | None) -> str:
    """Exact versions, one a line, for Python 3.11 and later on every platform."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--universal", "--python-version", "3.11"]
    command += ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += [part for extra in extras for part in ("--extra", extra)]
    if constraints is not None:
        command += ["--no-config", "--constraints", str(constraints)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(constraints: Path | None) -> None:
    texts = {name: resolve("pyproject.toml", extras, constraints) for name, extras in FILES.items()}
    apart = {source: resolve(source, (), constraints or compiled) for source, compiled in APART.items()}
    pins = [line.split(" ;")[0] for line in resolve("pyproject.toml", EVERYTHING, constraints).splitlines()]
    block = "".join(f'    "{pin}",\n' for pin in pins if not pin.startswith(FOLLOWS_TORCH))
    for name, text in texts.items():
        header = HEADER.format(source=f"pyproject.toml ({', '.join(('core', *FILES[name]))})")
        (ROOT / name).write_text(header + text, encoding="utf-8")
    for source, compiled in APART.items():
        compiled.write_text(HEADER.format(source=source) + apart[source], encoding="utf-8")
    project = ROOT / "pyproject.toml"
    described = project.read_text(encoding="utf-8")
    project.write_text(PINNED_BLOCK.sub(lambda _: block, described, count=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None)
