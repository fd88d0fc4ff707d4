"""The rankers of a recipe, learned from the newest cut-offs whose labels are known, as a folder in the model format."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vitrina.errors import DataError
from vitrina.features.shop import Shop
from vitrina.recommend.two_stage import Trained, TwoStage, train_ranker
from vitrina.registry.model_format import write_model
from vitrina.scenarios.prepared import MADE_OF, Origin
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.storefront_tables import tables_at


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What was trained, by which recipe and of what, or why the log does not teach a ranker."""

    trained: Trained | None
    recipe: TwoStage
    origin: Origin
    why: str = ""

    @classmethod
    def of(cls, run: Run, shop: Shop, spec: TwoStage, cuts: Sequence[int]) -> Learned:
        """The rankers of the recipe as of the end of the log."""
        origin = Origin.of(shop.prepared.folder, shop.as_of)
        try:
            trained = train_ranker(
                spec,
                shop.histories,
                cuts,
                partial(tables_at, run, shop, spec),
                before=shop.as_of,
                threads=run.threads,
                note=run.note,
            )
        except DataError as error:
            run.note(str(error))
            return cls(trained=None, recipe=spec, origin=origin, why=str(error))
        return cls(trained=trained, recipe=spec, origin=origin)

    def as_json(self) -> dict[str, Any]:
        """What a step tells of it."""
        if self.trained is None:
            return {"rows_out": 0, "learned": False, "why": self.why}
        ndcg = {name: fitted.as_json()["ndcg"] for name, fitted in self.trained.rankers.items()}
        groups = self.trained.groups
        return {"rows_out": groups, "learned": True, "ndcg": ndcg, "groups": groups}

    def write(self, folder: Path) -> None:
        """Writes the trees, the learning curves and each ranker's `.cbm`."""
        made = {MADE_OF: self.origin.as_json(), "recipe": self.recipe.as_json()}
        if self.trained is None:
            write_model(folder, arrays={}, files={}, meta={**made, "learned": False, "why": self.why})
            return
        rankers = self.trained.rankers
        arrays = self.trained.trees._asdict() | {f"curve_{name}": fitted.curve for name, fitted in rankers.items()}
        meta = {
            **made,
            "learned": True,
            "rankers": {name: fitted.as_json() for name, fitted in rankers.items()},
            "groups": self.trained.groups,
            "cuts": list(self.trained.cuts),
        }
        with tempfile.TemporaryDirectory() as scratch:
            files = {f"ranker_{name}.cbm": Path(scratch) / name for name in rankers}
            for path, fitted in zip(files.values(), rankers.values(), strict=True):
                path.write_bytes(fitted.cbm)
            write_model(folder, arrays=arrays, files=files, meta=meta)
