"""The two-stage recipe: candidate sources at rolling cut-offs, and a ranker for each regime of asking learned over
them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vitrina.candidates.als import ALS
from vitrina.candidates.covisitation import CoVisitation
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.candidates.popular import Popular
from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import Tables
from vitrina.errors import DataError, ModelFormatError
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Histories
from vitrina.ranking.catboost_ranker import CatBoostRanker, FittedRanker
from vitrina.ranking.moments import between_moments, cut_moments, visit_moments
from vitrina.ranking.regimes import BETWEEN, REGIMES, VISIT
from vitrina.ranking.sampling import Recall, Rows, sample_rows
from vitrina.ranking.trees import Trees, joined
from vitrina.recommend.desk import CANDIDATES
from vitrina.recommend.sources import Sources

BOTH: Final = "both"
"""Name of a ranker that serves all regimes."""


@dataclass(frozen=True, kw_only=True)
class TwoStage:
    """`ranker_name` "catboost" learns rankers; "fusion" or a source's name orders by that alone (the publishable
    baselines).

    `ranker` learns visits: the instants before carts of the first `visit_days` after each cut-off, with the visit so
    far. `between` learns the time between visits: everybody who wanted something in the `horizon_days` after the
    cut-off, as they stood at the cut-off and at `instants` random times of the `visit_days` after it; positives are
    few there, so its trees are fewer and held back more. Cut-offs are taken newest first until `groups` moments or
    `rows` rows are found; of more rows, some groups are drawn. With fewer than `least_groups` moments in a regime
    `ranker` learns both as one.
    """

    ranker_name: str = "catboost"
    sources: Sources = field(default_factory=Sources)
    ranker: CatBoostRanker = CatBoostRanker()
    between: CatBoostRanker = CatBoostRanker(iterations=100, depth=4, l2_leaf_reg=30.0)
    horizon_days: float = 14.0
    visit_days: float = 7.0
    visits_per_cut: int = 3_500
    instants: int = 4
    between_per_cut: int = 3_500
    negatives: int = 25
    groups: int = 8_000
    least_groups: int = 50
    rows: int = 250_000
    seed: int = 7

    def as_json(self) -> dict[str, Any]:
        """Every parameter, nested, ready for JSON."""
        plain = dataclasses.asdict(self)
        plain["sources"]["taste"] = self.sources.taste._asdict()
        return plain

    def params(self) -> dict[str, Any]:
        """Every parameter under a dotted name, for the experiment log."""
        return dict(_flat(self.as_json(), ""))

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> TwoStage:
        """The recipe that `as_json` wrote; `ModelFormatError` when this version knows other parameters."""
        try:
            sources = plain["sources"]
            taste = sources["taste"]
            return cls(
                **{key: value for key, value in plain.items() if key not in ("sources", "ranker", "between")},
                ranker=_ranker(plain["ranker"]),
                between=_ranker(plain["between"]),
                sources=Sources(
                    covisitation=tuple(
                        CoVisitation(**{**one, "sources": tuple(one["sources"]), "targets": tuple(one["targets"])})
                        for one in sources["covisitation"]
                    ),
                    item_knn=ItemKNN(**sources["item_knn"]),
                    rp3beta=RP3Beta(**sources["rp3beta"]),
                    als=ALS(**sources["als"]),
                    popular=Popular(**sources["popular"]),
                    taste=Taste(**{**taste, "kind_weights": tuple(taste["kind_weights"])}),
                ),
            )
        except (KeyError, TypeError) as error:
            raise ModelFormatError(f"the recipe is of another version of Vitrina ({error})") from error

    def settled(self, rankers: Mapping[str, FittedRanker]) -> TwoStage:
        """The recipe with the losses that won in these rankers, so that they race no more."""
        visit, between = (rankers.get(regime) or rankers[BOTH] for regime in (REGIMES[VISIT], REGIMES[BETWEEN]))
        return dataclasses.replace(
            self,
            ranker=dataclasses.replace(self.ranker, losses=(visit.loss,)),
            between=dataclasses.replace(self.between, losses=(between.loss,)),
        )

    def training_cuts(self, cuts: Sequence[int], before: int) -> list[int]:
        """Those of `cuts` whose labels end at or before `before`, newest first."""
        return sorted((cut for cut in cuts if cut + self.horizon_days * DAY_MS <= before), reverse=True)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A ranker for each of the `REGIMES`, or one, `BOTH`, where moments are few; `trees` for serving; how they were
    found, and the candidate recall at the newest cut-off (None without a moment there)."""

    rankers: Mapping[str, FittedRanker]
    trees: Trees
    recall: Recall | None
    cuts: tuple[int, ...]
    groups: int

    @property
    def ndcg(self) -> float:
        """NDCG@10 on held-out moments, the mean over the rankers."""
        return float(np.mean([ranker.ndcg for ranker in self.rankers.values()]))


def sample_cut(
    recipe: TwoStage, histories: Histories, cut: int, tables: Tables, *, threads: int
) -> tuple[dict[str, Rows], Recall]:
    """The training rows of one cut-off by regime, and the candidate recall for all who are asked at the cut-off."""
    until = cut + round(recipe.horizon_days * DAY_MS)
    asked = [
        cut_moments(histories, cut, until),
        between_moments(
            histories,
            cut,
            until,
            days=recipe.visit_days,
            instants=recipe.instants,
            most=recipe.between_per_cut,
            seed=recipe.seed,
        ),
        visit_moments(histories, cut, until, days=recipe.visit_days, most=recipe.visits_per_cut, seed=recipe.seed),
    ]
    (at_cut, recall), (between, _), (visits, _) = (
        sample_rows(
            histories,
            moments,
            wanted,
            taste=recipe.sources.taste,
            tables=tables,
            limit=CANDIDATES,
            negatives=recipe.negatives,
            seed=recipe.seed,
            threads=threads,
        )
        for moments, wanted in asked
    )
    return {REGIMES[VISIT]: visits, REGIMES[BETWEEN]: Rows.join([at_cut, between])}, recall


def train_ranker(
    recipe: TwoStage,
    histories: Histories,
    cuts: Sequence[int],
    tables_at: Callable[[int], Tables],
    *,
    before: int,
    judged: bool = True,
    threads: int = 2,
    note: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Learns from cut-offs whose labels end at or before `before` (ms). A fifth of the users, with all their moments,
    is held out to judge the losses, and for the learning curve unless it is not asked for (`judged`).

    `DataError` when no moment has both a positive and a negative among its candidates.
    """
    parts: dict[str, list[Rows]] = {regime: [] for regime in REGIMES}
    recall, used, found = None, [], 0
    for cut in recipe.training_cuts(cuts, before):
        rows, at_cut = sample_cut(recipe, histories, cut, tables_at(cut), threads=threads)
        recall = recall or at_cut
        groups = sum(part.groups for part in rows.values())
        if groups:
            used.append(cut)
            found += groups
            for regime, part in rows.items():
                parts[regime].append(part)
        note(f"cut-off {len(used)}: {found:,} groups")
        if found >= recipe.groups or sum(len(part) for regime in parts.values() for part in regime) >= recipe.rows:
            break
    if found < 10 or len(np.unique(np.concatenate([part.user for regime in parts.values() for part in regime]))) < 2:
        raise DataError(
            f"only {found} moments teach the ranker",
            where="events",
            remedy="A longer log, or one with more carts and purchases, is needed; until then a baseline serves.",
        )

    def fit(name: str, ranker: CatBoostRanker, of: list[Rows]) -> FittedRanker:
        rows = Rows.join(of).at_most(recipe.rows, recipe.seed)
        inside = held_out(rows, recipe.seed)
        return ranker.fit(
            rows.where(~inside),
            rows.where(inside),
            judged=judged,
            threads=threads,
            note=lambda line: note(f"{name}: {line}"),
        )

    if min(sum(part.groups for part in regime) for regime in parts.values()) < recipe.least_groups:
        rankers = {BOTH: fit(BOTH, recipe.ranker, [part for regime in parts.values() for part in regime])}
        trees = rankers[BOTH].trees
    else:
        specs = dict(zip(REGIMES, (recipe.ranker, recipe.between), strict=True))
        rankers = {regime: fit(regime, spec, parts[regime]) for regime, spec in specs.items()}
        trees = joined([rankers[regime].trees for regime in REGIMES])
    return Trained(rankers=rankers, trees=trees, recall=recall, cuts=tuple(used), groups=found)


def held_out(rows: Rows, seed: int) -> npt.NDArray[np.bool_]:
    """Rows of the users that only judge, bool (rows,): a fifth of the users, at least one and never all.

    By user, because the moments of one person resemble each other far more than those of two.
    """
    users = np.unique(rows.user)
    drawn = np.random.default_rng(seed).permutation(users)[: max(1, len(users) // 5)]
    return np.isin(rows.user, drawn)


def _ranker(plain: dict[str, Any]) -> CatBoostRanker:
    return CatBoostRanker(**{**plain, "losses": tuple(plain["losses"])})


def _flat(plain: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in plain.items():
        if isinstance(value, dict):
            flat.extend(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            for one in value:
                flat.extend(_flat(one, f"{prefix}{key}.{one['name']}."))
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
