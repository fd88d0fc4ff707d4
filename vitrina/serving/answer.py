"""The fallback chain: which source answers a request, and what steps in when it gives too little or fails.

    session given             session -> precomputed -> popular
    user with a list          precomputed -> history -> popular
    user with a history       history -> popular
    anybody else              popular

`session` and `history` rank online, `precomputed` and `popular` are read. Rules are applied inside every step, before
the cut to k, and the next step refills what they left open. The answer names the step that gave its first item.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vitrina.features.history import History
from vitrina.recommend.recommender import Rules
from vitrina.serving.state import ServingState
from vitrina.telemetry.metrics import ServiceMetrics

VIEW = 0
log = logging.getLogger(__name__)

Rows = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Id = int | str
Step = Callable[[Rules, int], tuple[Rows, Scores]]
NOTHING: Rows = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for k items. `session` are views in the order in which they happened, the last one the most recent."""

    user: Id
    k: int
    session: tuple[Id, ...] = ()
    exclude: tuple[Id, ...] = ()
    category: tuple[int, ...] | None = None
    available: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of items, best first; scores compare within one source. `ignored` are asked-for items that nobody knows."""

    items: Rows
    scores: Scores
    source: str
    ignored: tuple[Id, ...]


def answer(state: ServingState, ask: Ask, *, now: int, metrics: ServiceMetrics) -> Answer:
    """At most `ask.k` items for a user; never an error of the ranker, which is counted and stepped around."""
    lists = state.lists
    user = -1 if lists is None else lists.row_of(ask.user)
    if user < 0:
        metrics.cold_user()
    plain = not ask.session and not ask.exclude and ask.category is None and not ask.available
    if plain and user >= 0 and state.lists_fit and lists is not None:
        top = lists.top(user)
        if top is not None and len(top[0]) >= ask.k:
            return _count(Answer(top[0][: ask.k], top[1][: ask.k], "precomputed", ()), metrics)

    session, ignored = _rows(state, ask.session)
    exclude, unknown = _rows(state, ask.exclude)
    rules = Rules(exclude=exclude, allowed=state.allowed(ask.category, ask.available))
    steps = _steps(state, user, session, state.as_of(now), metrics)
    return _count(_walk(steps, rules, ask.k, ignored + unknown, metrics), metrics)


def _steps(
    state: ServingState, user: int, session: Rows, as_of: int, metrics: ServiceMetrics
) -> list[tuple[str, Step]]:
    lists = state.lists

    def online(history: History) -> Step:
        def rank(rules: Rules, k: int) -> tuple[Rows, Scores]:
            ranked = state.recommender.recommend(history, k=k, rules=rules, as_of=as_of)
            return ranked.items, ranked.scores

        return rank

    steps: list[tuple[str, Step]] = []
    stored = lists.history(user) if lists is not None and user >= 0 else None
    if len(session):
        steps.append(("session", online(joined(session, stored, as_of))))
    top = lists.top(user) if lists is not None and user >= 0 and state.lists_fit else None
    if top is not None:
        steps.append(("precomputed", _read(*top)))
    elif len(session):
        pass  # the session was asked for, so it is no fallback
    elif user < 0:
        metrics.fallback("unknown_user")
    else:
        metrics.fallback("no_list" if state.lists_fit else "lists_of_other_model")
    if stored is not None and not len(session):
        steps.append(("history", online(stored)))
    steps.append(("popular", _popular(state, as_of, metrics)))
    return steps


def _walk(
    steps: list[tuple[str, Step]], rules: Rules, k: int, ignored: tuple[Id, ...], metrics: ServiceMetrics
) -> Answer:
    items, scores, source = NOTHING, np.empty(0, dtype=np.float32), "popular"
    for name, step in steps:
        taken = np.concatenate([rules.exclude, items]) if len(items) else rules.exclude
        try:
            more, their_scores = step(replace(rules, exclude=taken), k - len(items))
        except Exception:
            log.exception("The source %r failed, the next one steps in", name)
            metrics.fallback("source_failed")
            continue
        if not len(items):
            source = name if len(more) else source
            items, scores = more, their_scores
        else:
            items, scores = np.concatenate([items, more]), np.concatenate([scores, their_scores])
        if len(items) >= k:
            break
        if name != "popular":
            metrics.fallback("too_few")
    return Answer(items[:k], scores[:k], source, ignored)


def _read(items: Rows, scores: Scores) -> Step:
    def read(rules: Rules, k: int) -> tuple[Rows, Scores]:
        kept = np.ones(len(items), dtype=np.bool_) if rules.allowed is None else rules.allowed[items]
        if len(rules.exclude):
            kept &= ~np.isin(items, rules.exclude)
        return items[kept][:k], scores[kept][:k]

    return read


def _popular(state: ServingState, as_of: int, metrics: ServiceMetrics) -> Step:
    """The kept answer for a stranger; when rules empty it, the recommender's cold path, which knows every category."""
    kept = _read(state.popular.items, state.popular.scores)
    nothing = History.empty()

    def read(rules: Rules, k: int) -> tuple[Rows, Scores]:
        items, scores = kept(rules, k)
        if len(items) >= k:
            return items, scores
        try:
            ranked = state.recommender.recommend(nothing, k=k, rules=rules, as_of=as_of)
        except Exception:
            log.exception("The cold path failed, the kept popular items are used")
            metrics.fallback("source_failed")
            return items, scores
        return (ranked.items, ranked.scores) if len(ranked.items) > len(items) else (items, scores)

    return read


def joined(session: Rows, stored: History | None, as_of: int) -> History:
    """Session views before the stored history, one millisecond apart up to `as_of`, so that their order is kept."""
    count = len(session)
    items = session[::-1]
    kinds = np.full(count, VIEW, dtype=np.int8)
    ts = as_of - 1 - np.arange(count, dtype=np.int64)
    if stored is not None:
        items = np.concatenate([items, stored.items])
        kinds = np.concatenate([kinds, stored.kinds])
        ts = np.concatenate([ts, stored.ts])
    return History(items=np.ascontiguousarray(items), kinds=kinds, ts=ts)


def _rows(state: ServingState, ids: tuple[Id, ...]) -> tuple[Rows, tuple[Id, ...]]:
    if not ids:
        return NOTHING, ()
    index_of = state.items.index_of
    rows = [index_of(one) for one in ids]
    if min(rows) >= 0:
        return np.array(rows, dtype=np.int32), ()
    unknown = tuple(dict.fromkeys(one for one, row in zip(ids, rows, strict=True) if row < 0))
    return np.array([row for row in rows if row >= 0], dtype=np.int32), unknown


def _count(answer: Answer, metrics: ServiceMetrics) -> Answer:
    metrics.answer(answer.source)
    return answer
