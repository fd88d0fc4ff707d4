"""The recipes of the basket scenario: which models of companions are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.cart_sources import CART_SOURCES, CartSource
from vitrina.candidates.carts import Carts
from vitrina.errors import ModelFormatError
from vitrina.evaluation.basket_protocol import judge, judge_lists
from vitrina.evaluation.report import Scores
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_fit import fit_item_item, fit_popular
from vitrina.recommend.companions_model import CompanionsModel, packed
from vitrina.registry.model_format import write_model
from vitrina.scenarios.basket_judgement import SHOWN, Answers


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A source of companions by its name, or the blend, with its settings. Threads are the machine's and no part of
    it."""

    name: str
    spec: CartSource | Blend

    def fit(self, baskets: Baskets, until: int, *, threads: int) -> CompanionsModel:
        """The model that learned from the baskets before `until` (as `Baskets.ts`)."""
        past = baskets.between(None, until)
        if isinstance(self.spec, PopularDays):
            return fit_popular(past, until=until, days=self.spec.days)
        if isinstance(self.spec, Blend):
            return fit_blend(self.spec, past, until=until, threads=threads)
        return fit_item_item(self.spec, past, until=until, threads=threads)

    def worth(self, cases: Cases, baskets: Baskets, until: int, *, threads: int) -> Scores:
        """How it fares on later carts, `cases` of the same baskets; of a source without what a model has beside it,
        confidence and fallbacks."""
        if isinstance(self.spec, Blend):
            model = self.fit(baskets, until, threads=threads)
            return judge_lists(cases, Answers.of(model, baskets, cases, SHOWN).items)
        fitted = self.spec.fit(Carts.of(baskets.between(None, until), threads=threads, as_of=until))
        return judge(cases, fitted)

    def as_json(self) -> dict[str, Any]:
        """The name and the settings."""
        return {"name": self.name, **asdict(self.spec)}  # type: ignore[arg-type]  # every spec is a dataclass

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `as_json` wrote; `ModelFormatError` for what this version does not know."""
        params = dict(document)
        try:
            name = params.pop("name")
            return cls(name=name, spec=type(KNOWN[name].spec)(**params))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFormatError(f"recipe {dict(document)} is of another version of Vitrina ({error})") from error

    def write(self, model: CompanionsModel, folder: Path, meta: Mapping[str, Any]) -> None:
        """Writes the model folder; `meta` comes on top of what is needed to read it."""
        made = packed(model)
        write_model(folder, arrays=made.arrays, files=made.files, meta={**made.meta, "recipe": self.as_json(), **meta})


KNOWN: Final[dict[str, Recipe]] = {
    "blend": Recipe(name="blend", spec=Blend()),
    **{name: Recipe(name=name, spec=spec) for name, spec in CART_SOURCES.items()},
}

_TRIED: Final = {name: KNOWN[name] for name in ("blend", "ease", "item2vec", "lift", "bm25", "rp3beta")}

RECIPES: Final[dict[str, dict[str, Recipe]]] = {"best": _TRIED, **{name: {name: one} for name, one in _TRIED.items()}}
"""By the names of `--recipe`: the models that are fitted, of which the best on validation becomes the candidate."""

BASELINES: Final[dict[str, Recipe]] = {name: KNOWN[name] for name in ("popular", "item_knn")}
