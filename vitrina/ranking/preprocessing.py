"""A customer's snapshot made ready for a model: gaps filled, income's skew taken out, numbers brought to one scale.

As scikit-learn steps for training, and as plain numbers (JSON) with the same arithmetic for the service.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PRODUCTS, PROFILE
from vitrina.features.panel_features import PanelInputs
from vitrina.features.panel_history import product_matrix

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

SNAPSHOT: Final = (*(column.name for column in PROFILE), *(product.column for product in PRODUCTS))
"""Columns of a snapshot: the profile, then what is owned."""

Matrix = npt.NDArray[np.float64]
_INCOME: Final = "income"
_NUMBERS: Final = [p for p, one in enumerate(PROFILE) if one.kind in ("number", "date") and one.name != _INCOME]
_CODES: Final = [p for p, one in enumerate(PROFILE) if one.kind in ("category", "flag")]
_OWNED: Final = list(range(len(PROFILE), len(SNAPSHOT)))
_NO_LEVEL, _NOT_OWNED = -1.0, 0.0


@dataclass(frozen=True, kw_only=True)
class PreparedColumn:
    """One column of the prepared matrix: the snapshot's column `name`, with `fill` for what is missing, its logarithm
    log(1 + x) when `log`, less `mean`, divided by `scale`."""

    name: str
    fill: float
    log: bool = False
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What fitted steps do, without scikit-learn; `columns` in the order of their output."""

    columns: tuple[PreparedColumn, ...]

    @classmethod
    def of(cls, fitted: ColumnTransformer) -> Self:
        """From what `steps` gave, after it was fitted."""
        columns: list[PreparedColumn] = []
        for name, step, places in fitted.transformers_:
            fills = (step if name in ("codes", "owned") else step[0]).statistics_
            for at, place in enumerate(places):
                scale = {} if name in ("codes", "owned") else {"mean": step[-1].mean_[at], "scale": step[-1].scale_[at]}
                numbers = {key: float(value) for key, value in {"fill": fills[at], **scale}.items()}
                columns.append(PreparedColumn(name=SNAPSHOT[place], log=name == _INCOME, **numbers))
        return cls(columns=tuple(columns))

    def apply(self, snapshot: Matrix) -> Matrix:
        """float64 (rows, columns) of a snapshot (rows, 46)."""
        table = self._table
        out = snapshot[:, table.places]
        np.copyto(out, table.fill, where=np.isnan(out))
        out[:, table.logs] = log_income(out[:, table.logs])
        out -= table.mean
        out /= table.scale
        return out

    def as_json(self) -> list[dict[str, Any]]:
        """One object a column."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, document: list[dict[str, Any]]) -> Self:
        """What `as_json` wrote."""
        return cls(columns=tuple(PreparedColumn(**column) for column in document))

    @cached_property
    def _table(self) -> _Table:
        def of(name: str) -> npt.NDArray[Any]:
            return np.array([getattr(column, name) for column in self.columns])

        places = np.array([SNAPSHOT.index(column.name) for column in self.columns])
        return _Table(places, of("fill"), np.flatnonzero(of("log")), of("mean"), of("scale"))


class _Table(NamedTuple):
    """The columns side by side: their places in a snapshot, (columns,) each; the places in the output of `logs`."""

    places: npt.NDArray[np.int64]
    fill: npt.NDArray[np.float64]
    logs: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]


def steps() -> ColumnTransformer:
    """The same as scikit-learn steps, not fitted: snapshot (rows, 46) in, (rows, 46) out."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    def constant(value: float) -> SimpleImputer:
        return SimpleImputer(strategy="constant", fill_value=value, keep_empty_features=True)

    middle = SimpleImputer(strategy="median", keep_empty_features=True)
    log = FunctionTransformer(log_income)
    return ColumnTransformer(
        [
            ("numbers", Pipeline([("fill", middle), ("scale", StandardScaler())]), _NUMBERS),
            (
                _INCOME,
                Pipeline([("fill", middle), ("log", log), ("scale", StandardScaler())]),
                [SNAPSHOT.index(_INCOME)],
            ),
            ("codes", constant(_NO_LEVEL), _CODES),
            ("owned", constant(_NOT_OWNED), _OWNED),
        ]
    )


def snapshot_matrix(inputs: PanelInputs) -> Matrix:
    """float64 (rows, 46), columns SNAPSHOT: the encoded profile and what is owned now, NaN where it is not known."""
    owned = np.where(product_matrix(inputs.past.known), product_matrix(inputs.past.owned), np.nan)
    return np.hstack([inputs.profile.astype(np.float64), owned])


def log_income(income: Matrix) -> Matrix:
    """log(1 + income); a negative income counts as none."""
    return np.log1p(np.maximum(income, 0.0))
