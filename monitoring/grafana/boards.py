"""Every dashboard, in the order of the menu."""

from __future__ import annotations

from .bank import BANK_BOARD
from .bank_graphite import BANK_GRAPHITE
from .basket import BASKET_BOARD
from .board import Board
from .business import BUSINESS
from .model import MODEL
from .pipeline import PIPELINE
from .service import SERVICE

BOARDS: tuple[Board, ...] = (SERVICE, PIPELINE, MODEL, BUSINESS, BANK_BOARD, BANK_GRAPHITE, BASKET_BOARD)
