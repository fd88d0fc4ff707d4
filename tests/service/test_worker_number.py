"""How many workers serve, where a platform's environment says another number than the command line."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from service_process import vitrina_serve
from waiting import wait

from app.warm import tiny_propensities
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("workers", "told"), [(1, "4"), (2, "auto")])
def test_as_many_serve_as_were_asked_for(tmp_path: Path, workers: int, told: str) -> None:
    """Uvicorn and gunicorn read WEB_CONCURRENCY; one would refuse to start, and so would the other at a wrong value."""
    write_model(tmp_path / "model", **next(iter(tiny_propensities()))._asdict())
    registry = FileRegistry(tmp_path / "registry", name="bank_products")
    registry.promote(registry.register(tmp_path / "model", RunRecord(fingerprint="f")).version)
    with vitrina_serve(tmp_path, workers=workers, WEB_CONCURRENCY=told) as (_, url):
        wait(lambda: f"vitrina_workers {float(workers)}" in httpx.get(f"{url}/metrics").text.splitlines())
