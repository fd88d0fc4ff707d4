"""run_mimic_load.py as a module; it lies in the repository's root, from where nothing is imported."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType

from loaded import module_at

SCRIPT = Path(__file__).resolve().parents[2] / "run_mimic_load.py"


@cache
def mimic_load() -> ModuleType:
    """The module, read once."""
    return module_at("run_mimic_load", SCRIPT)
