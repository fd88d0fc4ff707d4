"""What tells prepared data apart: the fingerprint that the step `prepare` leaves beside it, and what later steps write
down of it. Another run may prepare its own data at any time; what was made of different data is never registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from vitrina.errors import DataError
from vitrina.scenarios.scenario import Run

Data = TypeVar("Data")
Split = TypeVar("Split")

FINGERPRINT: Final = "fingerprint.txt"
MADE_OF: Final = "made_of"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The prepared data that a step's output was made of, and where it ends, as the scenario counts."""

    fingerprint: str
    as_of: int

    @classmethod
    def of(cls, prepared: Path, as_of: int) -> Self:
        """That of a prepared folder."""
        return cls(fingerprint=(prepared / FINGERPRINT).read_text(), as_of=as_of)

    def as_json(self) -> dict[str, Any]:
        """What an output writes down under MADE_OF."""
        return asdict(self)

    def require(self, run: Run, made: Mapping[str, Mapping[str, Any]]) -> None:
        """`DataError` unless all outputs were made of this; `made` is what each wrote down, by the step that did, in
        their order."""
        for step, told in made.items():
            if told.get(MADE_OF) != self.as_json():
                raise mixed(run, step, "was made of other prepared data than there is now")


def mixed(run: Run, step: str, what: str) -> DataError:
    """The error that tells `what` is wrong with the output of a step, and the way out."""
    return DataError(
        f"what the step `{step}` left {what}: another run came in between, or one of another --as-of",
        where=run.scenario,
        remedy=f"Let one run end before the next begins, and run the steps again from `{step}`, or from `extract` for "
        "other data than were prepared last",
    )


def write_fingerprint(prepared: Path, of: Path) -> None:
    """Writes the fingerprint of the folder `of` into the prepared folder."""
    from vitrina.registry.fingerprint import fingerprint

    (prepared / FINGERPRINT).write_text(fingerprint(of))


def fingerprint_of(run: Run) -> str:
    """The fingerprint of the prepared data, as `prepare` wrote it."""
    return (run.local("prepared") / FINGERPRINT).read_text()


def opened_whole(
    run: Run, opened: Callable[[Run], tuple[Data, Split]], end: Callable[[Split], int], *, checked: bool = False
) -> tuple[Data, Split, Origin]:
    """What `opened` opens, and its origin. `DataError` when it was prepared anew meanwhile; with `checked`, which takes
    as long as `prepare` does for the fingerprint, also when the validated data are others than those that were
    prepared."""
    from vitrina.registry.fingerprint import fingerprint

    before = fingerprint_of(run)
    data, split = opened(run)
    if fingerprint_of(run) != before or (checked and fingerprint(run.local("validated")) != before):
        raise mixed(run, "prepare", "is of other data than lie there now")
    return data, split, Origin(fingerprint=before, as_of=end(split))
