"""Who waits for promotion, in every registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitrina.errors import RegistryError
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import Registry, RunRecord

OPEN: dict[str, Callable[[Path], Registry]] = {
    "files": FileRegistry,
    "embedded": lambda home: MlflowRegistry(f"sqlite:///{home}/mlflow.db", pip_requirements=["numpy"]),
}


@pytest.mark.parametrize("kind", OPEN)
def test_who_waits_for_promotion_can_be_changed(kind: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model", arrays={"ids": np.arange(3)}, files={}, meta={})
    registry = OPEN[kind](tmp_path)
    registry.challenge(None)
    registry.register(tmp_path / "model", RunRecord(fingerprint="f"))
    registry.challenge(None)
    assert registry.challenger() is None
    with pytest.raises(RegistryError, match="no challenger"):
        registry.promote()
    registry.challenge("1")
    registry.challenge("1")
    assert registry.promote().aliases == ("champion",)
    registry.challenge("1")
    assert registry.versions()[0].aliases == ("challenger", "champion")
    assert registry.promote().aliases == ("champion",), "who reigns already goes on to reign"
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.rollback()
    with pytest.raises(RegistryError, match="no version"):
        registry.challenge("2")
    assert registry.challenger() is None
