"""The kinds of event and the columns of the tables that this stage hands on."""

from __future__ import annotations

from typing import Final

VIEW: Final = 0
CART: Final = 1
BUY: Final = 2

KIND_NAMES: Final[tuple[str, ...]] = ("view", "addtocart", "transaction")
"""Outside name of each kind, by its number."""

KIND_OF: Final[dict[str, int]] = {name: kind for kind, name in enumerate(KIND_NAMES)}

DEFAULT_WEIGHTS: Final[tuple[float, ...]] = (1.0, 3.0, 5.0)
"""How much one event of each kind says about interest, where a method wants one number."""

MAX_ID_BYTES: Final = 128
"""A string id may take this many bytes of utf-8."""

DAY_MS: Final = 86_400_000

EVENTS_FILE: Final = "events.parquet"
CATEGORIES_FILE: Final = "categories.parquet"
AVAILABILITY_FILE: Final = "availability.parquet"
TREE_FILE: Final = "tree.parquet"
TITLES_FILE: Final = "titles.parquet"
REPORT_FILE: Final = "report.json"
USERS_FILE: Final = "users.npy"
ITEMS_FILE: Final = "items.npy"
