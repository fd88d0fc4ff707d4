"""Every dashboard, in the order of the menu."""

from __future__ import annotations

from .board import Board
from .business import BUSINESS
from .model import MODEL
from .pipeline import PIPELINE
from .service import SERVICE

BOARDS: tuple[Board, ...] = (SERVICE, PIPELINE, MODEL, BUSINESS)
