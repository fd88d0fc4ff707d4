"""Every dashboard, in the order of the menu."""

from __future__ import annotations

from .board import Board
from .service import SERVICE

BOARDS: tuple[Board, ...] = (SERVICE,)
