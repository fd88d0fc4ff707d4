"""A panel in numbers: the marginals that a generated one has to share with the bank's own train_ver2.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from vitrina.events.panels.columns import PANEL_FILE, PRODUCTS
from vitrina.events.synthetic_panels.laws import SHARE, TAKEN
from vitrina.events.synthetic_panels.spec import REAL_CUSTOMERS, REAL_ROWS
from vitrina.events.synthetic_panels.walk import unpacked

REAL: Final[dict[str, float]] = {
    "rows per customer": REAL_ROWS / REAL_CUSTOMERS,
    "customers in the first month": 625_457 / REAL_CUSTOMERS,
    "customers in the last month": 931_453 / REAL_CUSTOMERS,
    "pairs with an acquisition": 0.0352,
    "of active customers": 0.0685,
    "of inactive customers": 0.0067,
    "of TOP": 0.0971,
    "of PARTICULARES": 0.0397,
    "of UNIVERSITARIO": 0.0167,
    "products taken per such pair": 1.32,
    "products owned": sum(SHARE.values()),
    "no product, last month": 0.2522,
    "one product, last month": 0.4863,
    "active": 0.458,
    "TOP": 0.041,
    "PARTICULARES": 0.583,
    "UNIVERSITARIO": 0.362,
    "segment not known": 0.0139,
    "age, mean": 40.2,
    "income, median": 101_850.0,
    "income, mean": 134_254.0,
    "income not known": 0.2048,
    "channel not known": 0.0136,
    "salary not known": 16_063 / REAL_ROWS,
    "MADRID": 0.324,
    **{f"{code} owned": share for code, share in SHARE.items()},
    **{f"{code} taken per 100,000 pairs": rate for code, rate in TAKEN.items()},
}
"""The same figures of train_ver2.csv, where published."""


def marginals(folder: Path) -> dict[str, float]:
    """The figures of `REAL` for the panel.parquet of a validated folder (all of it in memory)."""
    table = parquet.read_table(folder / PANEL_FILE)
    customer, month, known = (table[name].to_numpy() for name in ("customer", "month", "known"))
    owned = unpacked(table["owned"].to_numpy())  # (rows, 24)
    pair = np.flatnonzero((customer[1:] == customer[:-1]) & (month[1:] == month[:-1] + 1))
    pair = pair[(known[pair] & known[pair + 1]) == (1 << len(PRODUCTS)) - 1]
    taken = owned[pair + 1] & ~owned[pair]  # (pairs, 24)
    some = taken.any(axis=1)
    last, held = month == month.max(), owned.sum(axis=1)
    people = len(np.unique(customer))
    active, segment = _text(table, "ind_client_activity"), _text(table, "client_segment")
    province, income = _text(table, "province_name"), table["income"].to_numpy()
    names = {"TOP": "01 - TOP", "PARTICULARES": "02 - PARTICULARES", "UNIVERSITARIO": "03 - UNIVERSITARIO"}
    figures = {
        "rows per customer": len(customer) / people,
        "customers in the first month": np.mean(month == month.min()) * len(customer) / people,
        "customers in the last month": np.mean(last) * len(customer) / people,
        "pairs with an acquisition": some.mean(),
        "of active customers": some[active[pair] == "1"].mean(),
        "of inactive customers": some[active[pair] == "0"].mean(),
        **{f"of {name}": some[segment[pair] == text].mean() for name, text in names.items()},
        "products taken per such pair": taken.sum() / some.sum(),
        "products owned": held.mean(),
        "no product, last month": np.mean(held[last] == 0),
        "one product, last month": np.mean(held[last] == 1),
        "active": np.mean(active == "1"),
        **{name: np.mean(segment == text) for name, text in names.items()},
        "segment not known": np.mean(segment == ""),
        "age, mean": np.nanmean(table["age"].to_numpy()),
        "income, median": np.nanmedian(income),
        "income, mean": np.nanmean(income),
        "income not known": np.isnan(income).mean(),
        "channel not known": np.mean(_text(table, "entry_channel") == ""),
        "salary not known": np.mean(known != (1 << len(PRODUCTS)) - 1),
        "MADRID": np.mean(province == "MADRID"),
    }
    shares, rates = owned.mean(axis=0), taken.mean(axis=0) * 1e5
    figures |= {f"{code} owned": share for code, share in zip(SHARE, shares, strict=True)}
    figures |= {f"{code} taken per 100,000 pairs": rate for code, rate in zip(SHARE, rates, strict=True)}
    return {name: float(value) for name, value in figures.items()}


def comparison(folder: Path) -> str:
    """`marginals` of the folder beside `REAL`, as a Markdown table."""
    rows = [f"| {name} | {REAL[name]:.4g} | {value:.4g} |" for name, value in marginals(folder).items()]
    return "\n".join(["| | train_ver2.csv | generated |", "|---|---|---|", *rows])


def _text(table: pa.Table, name: str) -> NDArray[np.str_]:
    """(rows,) "" where there is no value."""
    column = table[name].combine_chunks().dictionary_encode()
    levels = np.array([*column.dictionary.to_pylist(), ""])
    codes = column.indices.fill_null(len(levels) - 1).to_numpy()
    return levels[codes]
