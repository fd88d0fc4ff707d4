"""A model folder as the objects of this stage read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vitrina.errors import ModelFormatError

Arrays = dict[str, npt.NDArray[Any]]
T = TypeVar("T")


class Stored(Protocol):
    """What `vitrina.registry.model_format.StoredModel` offers."""

    @property
    def arrays(self) -> Mapping[str, npt.NDArray[Any]]: ...

    @property
    def meta(self) -> Mapping[str, Any]: ...

    @property
    def folder(self) -> Path: ...


class Packed(NamedTuple):
    """What `vitrina.registry.model_format.write_model` takes; whoever publishes adds to `meta`."""

    arrays: Arrays
    files: dict[str, bytes]
    meta: dict[str, Any]


def plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view as a bare ndarray: compiled code takes no memmap type."""
    return array.view(np.ndarray)


def spread(tables: NamedTuple, prefix: str) -> Arrays:
    """The arrays of a named tuple by `prefix` and field, where `gathered` finds them again."""
    return {f"{prefix}{name}": array for name, array in tables._asdict().items()}


def gathered(kind: Callable[..., T], arrays: Mapping[str, npt.NDArray[Any]], prefix: str = "", **given: Any) -> T:
    """The named tuple `kind` of the arrays that are called by `prefix` and field, bare; fields that are `given` are not
    looked for. `KeyError` for what is missing."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]  # every named tuple has them
    return kind(**{name: plain(arrays[f"{prefix}{name}"]) for name in fields if name not in given}, **given)


def check_same(stored: Stored, **ours: Sequence[str]) -> None:
    """`ModelFormatError` unless the model's meta has these lists of names."""
    for name, names in ours.items():
        if list(stored.meta.get(name, [])) != list(names):
            raise ModelFormatError(
                f"{stored.folder}: its {name} are not those of this version of Vitrina. "
                "Train again, or serve it with the version that made it"
            )
