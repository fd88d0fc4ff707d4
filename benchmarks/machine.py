"""Facts of the machine and of the versions, which stand beside every measured figure."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    *(
        "asyncpg",
        "catboost",
        "duckdb",
        "fastapi",
        "implicit",
        "k6",
        "mlflow",
        "numba",
        "numpy",
        "psycopg",
        "psycopg2-binary",
    ),
    *("starlette", "uvicorn", "uvloop"),
)
GIGABYTE = 1e9


def machine(date: str) -> dict[str, Any]:
    """Cores, memory, load and versions; `date` is the day of the run."""
    return {
        "date": date,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / GIGABYTE, 1),
        "load_before": round(psutil.getloadavg()[0], 2),
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def sentence(facts: dict[str, Any]) -> str:
    """The facts in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"{facts['date']}; {facts['cores']} cores of {facts['processor']}, {facts['memory_gb']} GB, {facts['system']}, "
        f"load before the run {facts['load_before']}; Python {facts['python']}, {versions}."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # another system than Linux
    return platform.processor() or platform.machine()
