"""How many companions a question may ask for; the same at every door to a companions model."""

from __future__ import annotations

from typing import Final

DEFAULT_N: Final = 10
"""For a question that names no number."""
MOST_N: Final = 100
