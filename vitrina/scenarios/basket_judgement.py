"""How companions fare on the baskets of a period: every model is asked for each cart as the service would be."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.basket_protocol import judge_lists
from vitrina.evaluation.gate import CANDIDATE, CHAMPION, Gate, Verdict
from vitrina.evaluation.reliability import Reliability, SortedScores
from vitrina.evaluation.report import Scores, Table
from vitrina.evaluation.truth import Int32s
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, growing, half, hide_one
from vitrina.recommend.companions_model import CompanionsModel

METRIC: Final = "ndcg@10"
METRICS: Final = (METRIC, "hr@5", "hr@10", "hr@20", "mrr", "recall@10", "coverage@10", "calibration_error")
DEPTH: Final = 100
"""Places of a list; what stands further down counts as not found."""

SHOWN: Final = 10
SEED: Final = 0
QUALITY: Final = "quality.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """Baskets of a period with a product hidden, with half of them hidden, and as they fill."""

    baskets: Baskets
    one: Cases
    half: Cases
    growing: Cases

    @classmethod
    def of(cls, baskets: Baskets) -> Self:
        """The same baskets give the same questions."""
        return cls(
            baskets=baskets,
            one=hide_one(baskets, SEED),
            half=half(baskets, SEED),
            growing=growing(baskets, SEED),
        )

    def judge(
        self, model: CompanionsModel, tell: Callable[[int, int], None] = lambda done, of: None, *, k: int = SHOWN
    ) -> Judged:
        """What a model is worth, at depth `k` too; `tell` hears how many carts are done."""
        carts = 3 * len(self.one)
        asked = Answers.of(model, self.baskets, self.one, max(DEPTH, k), tell=lambda done: tell(done, carts))
        scores = judge_lists(self.one, asked.items)
        hits = (asked.items[:, :k] == self.one.hidden.indices[:, None]).any(axis=1)
        halves = Answers.of(model, self.baskets, self.half, SHOWN, tell=lambda done: tell(carts // 3 + done, carts))
        filling = Answers.of(
            model, self.baskets, self.growing, SHOWN, tell=lambda done: tell(2 * carts // 3 + done, carts)
        )
        reliability = filling.reliability(self.growing)
        shown = len(np.unique(asked.items[:, :SHOWN][asked.items[:, :SHOWN] >= 0]))
        return Judged(
            scores=Scores(
                values={
                    **scores.values,
                    f"hr@{k}": hits.astype(np.float64),
                    "recall@10": judge_lists(self.half, halves.items).column("recall@10"),
                },
                clusters=scores.clusters,
                lists={
                    "coverage@10": shown / len(model.codes),
                    "calibration_error": reliability.error if reliability else 0.0,
                },
            ),
            reliability=reliability,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a model answers: `items` int32 (cases, n) of the baskets, best first, and `confidence` float64 (cases, n);
    padded with -1. Products that the baskets do not know have numbers after theirs."""

    items: Int32s
    confidence: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        model: CompanionsModel,
        baskets: Baskets,
        cases: Cases,
        n: int,
        tell: Callable[[int], None] = lambda done: None,
    ) -> Self:
        """Asks for the visible part of each case, by codes and with the customer where there is one."""
        row_of = {code: row for row, code in enumerate(baskets.codes)}
        items = np.full((len(cases), n), -1, np.int32)
        confidence = np.full((len(cases), n), -1.0)
        starts, visible = cases.visible.indptr, cases.visible.indices
        for case, customer in enumerate(cases.customer.tolist()):
            found = model.companions(
                [baskets.codes[item] for item in visible[starts[case] : starts[case + 1]]],
                n,
                customer=None if customer < 0 else baskets.customers[customer],
            )
            items[case, : len(found.codes)] = [row_of.setdefault(code, len(row_of)) for code in found.codes]
            confidence[case, : len(found.codes)] = found.confidence
            if case % 256 == 0:
                tell(case)
        return cls(items=items, confidence=confidence)

    def reliability(self, cases: Cases) -> Reliability | None:
        """What the confidence of all shown products said against which of them were in the hidden part; None when
        nothing was shown."""
        shown = self.confidence >= 0
        if not shown.any():
            return None
        taken = np.zeros(shown.shape, bool)
        starts, hidden = cases.hidden.indptr, cases.hidden.indices
        for case in range(len(cases)):
            taken[case] = np.isin(self.items[case], hidden[starts[case] : starts[case + 1]])
        return SortedScores.of(self.confidence[shown], taken[shown]).reliability()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Scores of a model by case, and whether its confidence came true."""

    scores: Scores
    reliability: Reliability | None

    def quality(self) -> dict[str, float]:
        """Every number by name, those of METRICS among them."""
        return self.scores.means()


def decided(scores: Mapping[str, Scores], baselines: Collection[str], *, learned: bool) -> Verdict:
    """The gate's verdict on the candidate. With too few customers to compare anything a champion that is `learned`, no
    baseline, stays, as it does where nothing can be judged."""
    gate = Gate(metric=METRIC, lead_margin=0.0)
    users = scores[CANDIDATE].users
    if learned and users < gate.min_users:
        reason = f"only {users} customers to judge on, {gate.min_users} are needed: the champion's recipe stays"
        return Verdict(promote=False, winner=CHAMPION, reasons=(reason,), comparisons=())
    return gate.decide(scores[CANDIDATE], scores.get(CHAMPION), {name: scores[name] for name in baselines})


def write_tables(
    folder: Path, judged: Mapping[str, Judged], *, title: str, reference: str, validation: Mapping[str, float]
) -> None:
    """Writes table.md, table.json, the numbers of every model and its reliability; differences are to `reference`.
    Above the table stands what was chosen from on the validation period."""
    scores = {name: one.scores for name, one in judged.items()}
    table = compared(title, scores, reference)
    order = sorted(validation, key=lambda name: -validation[name])
    lines = [f"{METRIC} on the validation period: {', '.join(f'{name} {validation[name]:.4f}' for name in order)}", ""]
    (folder / "table.md").write_text("\n".join([*lines, table.markdown()]), encoding="utf-8")
    document = {**table.as_json(), "validation": dict(validation)}
    (folder / "table.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    (folder / QUALITY).write_text(json.dumps({name: one.quality() for name, one in judged.items()}))
    for name, one in judged.items():
        found: dict[str, Any] = {} if one.reliability is None else dict(one.reliability.as_json())
        (folder / f"reliability-{name}.json").write_text(json.dumps(found))


def compared(title: str, scores: Mapping[str, Scores], reference: str) -> Table:
    """The table of models with the paired difference of METRIC to `reference` beside it."""
    plain = Table.of(title, scores, METRICS)
    over = f"{METRIC} over {reference}"
    rows = {
        name: {METRIC: row[METRIC], over: scores[name].minus(scores[reference], METRIC), **row}
        for name, row in plain.rows.items()
    }
    return Table(title=title, metrics=(METRIC, over, *METRICS[1:]), rows=rows, users=plain.users, cases=plain.cases)
