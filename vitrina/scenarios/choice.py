"""Which of its models a scenario's fitting step chose on validation: written beside them, read by later steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from vitrina.scenarios.prepared import MADE_OF, Origin
from vitrina.scenarios.scenario import Run

CHOICE: Final = "choice.json"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`validation` has the metric of each fitted model by name; where none was fitted, `why` says so."""

    validation: Mapping[str, float]
    why: str = ""

    @property
    def chosen(self) -> str | None:
        """The best on validation, of equal ones the first; None where no model was fitted."""
        return max(self.validation, key=lambda name: self.validation[name], default=None)

    @classmethod
    def read(cls, run: Run, step: str, origin: Origin) -> Self:
        """What the step `step` wrote. `DataError` when it was made of other data than `origin`."""
        document = json.loads((run.local(step) / CHOICE).read_text())
        origin.require(run, {step: document})
        return cls(validation=document["validation"], why=document["why"] or "")

    def as_json(self) -> dict[str, Any]:
        """What the step tells of it."""
        return {"why": self.why or None, "chosen": self.chosen, "validation": dict(self.validation)}

    def write(self, folder: Path, origin: Origin) -> None:
        """Writes choice.json into the step's folder."""
        (folder / CHOICE).write_text(json.dumps({**self.as_json(), MADE_OF: origin.as_json()}))
