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
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.features.history import History
from vitrina.recommend.recommender import Rules
from vitrina.serving.lookup import Id, row_of, rows_of
from vitrina.serving.state import ServingState
from vitrina.telemetry.metrics import ScenarioMetrics

log = logging.getLogger(__name__)

Rows = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Step = Callable[[Rules, int], tuple[Rows, Scores]]
NOTHING: Rows = np.empty(0, dtype=np.int32)
NOBODY = History.empty()


class Ask(NamedTuple):
    """A request for k items. `session` are views in the order in which they happened, the last one the most recent."""

    user: Id
    k: int
    session: tuple[Id, ...] = ()
    exclude: tuple[Id, ...] = ()
    category: tuple[int, ...] | None = None
    available: bool = False


class Answer(NamedTuple):
    """Rows of items, best first; scores compare within one source. `ignored` are asked-for items that nobody knows."""

    items: Rows
    scores: Scores
    source: str
    ignored: tuple[Id, ...]


def answer(state: ServingState, ask: Ask, *, now: int, metrics: ScenarioMetrics) -> Answer:
    """At most `ask.k` items for a user; never an error of the ranker, which is counted and stepped around."""
    lists = state.lists
    user = -1 if lists is None else row_of(lists.users, ask.user)
    plain = not ask.session and not ask.exclude and ask.category is None and not ask.available
    if plain and user >= 0 and state.lists_fit and lists is not None:
        top = lists.top(user)
        if top is not None and len(top[0]) >= ask.k:
            metrics.answer("precomputed", ask.k, False, ask.k)
            return Answer(top[0][: ask.k], top[1][: ask.k], "precomputed", ())

    session, ignored = _rows(state, ask.session)
    exclude, unknown = _rows(state, ask.exclude)
    rules = Rules(exclude, state.allowed(ask.category, ask.available))
    steps = _steps(state, user, session, state.as_of(now), metrics)
    items, scores, source, first = _walk(steps, rules, ask.k, metrics)
    metrics.answer(source, ask.k, user < 0, first)
    return Answer(items, scores, source, ignored + unknown)


def similar(state: ServingState, row: int, k: int, *, now: int, metrics: ScenarioMetrics) -> tuple[Rows, Scores, str]:
    """At most k items like the one at `row`, their scores and where they come from: "neighbours", or for an item that
    has none, what is popular in its "category", else "popular" anywhere."""
    items, scores = state.recommender.similar(row, k)
    if len(items):
        return items, scores, "neighbours"
    catalogue, popular = state.recommender.catalogue, _popular(state, state.as_of(now), metrics)
    place = int(catalogue.category[row])
    if place >= 0:
        within = state.allowed((int(catalogue.categories[place]),), False)
        items, scores = popular(Rules(np.array([row], dtype=np.int32), within), k)
    if len(items):
        return items, scores, "category"
    return *popular(Rules(np.array([row], dtype=np.int32), None), k), "popular"


def _steps(
    state: ServingState, user: int, session: Rows, as_of: int, metrics: ScenarioMetrics
) -> Iterator[tuple[str, Step]]:
    """The chain for this request; a link is made when the ones before it were not enough."""
    lists = state.lists

    def online(rules: Rules, k: int) -> tuple[Rows, Scores]:
        history = NOBODY if stored is None else stored
        ranked = state.recommender.recommend(history, session=session, k=k, rules=rules, as_of=as_of)
        return ranked.items, ranked.scores

    stored = lists.history(user) if lists is not None and user >= 0 else None
    if len(session):
        yield "session", online
    top = lists.top(user) if lists is not None and user >= 0 and state.lists_fit else None
    if top is not None:
        yield "precomputed", _read(*top)
    elif len(session):
        pass  # the session was asked for, so it is no fallback
    elif user < 0:
        metrics.fallback("unknown_user")
    else:
        metrics.fallback("no_list" if state.lists_fit else "lists_of_other_model")
    if stored is not None and not len(session):
        yield "history", online
    yield "popular", _popular(state, as_of, metrics)


def _walk(
    steps: Iterator[tuple[str, Step]], rules: Rules, k: int, metrics: ScenarioMetrics
) -> tuple[Rows, Scores, str, int]:
    """Items with their scores, the first source that gave any, and how many it gave."""
    items, scores, source, first = NOTHING, np.empty(0, dtype=np.float32), "popular", 0
    for name, step in steps:
        left = rules
        if len(items):
            left = rules._replace(exclude=np.concatenate([rules.exclude, items]))
        try:
            more, their_scores = step(left, k - len(items))
        except Exception:
            log.exception("The source %r failed, the next one steps in", name)
            metrics.fallback("source_failed")
            continue
        if not len(items):
            source, first = (name, len(more)) if len(more) else (source, 0)
            items, scores = more, their_scores
        else:
            items, scores = np.concatenate([items, more]), np.concatenate([scores, their_scores])
            metrics.more_items(name, len(more))
        if len(items) >= k:
            break
        if name != "popular":
            metrics.fallback("too_few")
    return items, scores, source, first


def _read(items: Rows, scores: Scores) -> Step:
    def read(rules: Rules, k: int) -> tuple[Rows, Scores]:
        kept = np.ones(len(items), dtype=np.bool_) if rules.allowed is None else rules.allowed[items]
        if len(rules.exclude):
            kept &= ~np.isin(items, rules.exclude)
        return items[kept][:k], scores[kept][:k]

    return read


def _popular(state: ServingState, as_of: int, metrics: ScenarioMetrics) -> Step:
    """The kept answer for a stranger; when rules empty it, the recommender's cold path, which knows every category."""
    kept = _read(state.popular.items, state.popular.scores)

    def read(rules: Rules, k: int) -> tuple[Rows, Scores]:
        items, scores = kept(rules, k)
        if len(items) >= k:
            return items, scores
        try:
            ranked = state.recommender.recommend(NOBODY, k=k, rules=rules, as_of=as_of)
        except Exception:
            log.exception("The cold path failed, the kept popular items are used")
            metrics.fallback("source_failed")
            return items, scores
        return (ranked.items, ranked.scores) if len(ranked.items) > len(items) else (items, scores)

    return read


def _rows(state: ServingState, ids: tuple[Id, ...]) -> tuple[Rows, tuple[Id, ...]]:
    if not ids:
        return NOTHING, ()
    rows = rows_of(state.items, ids)
    found = rows.tolist()
    if min(found) >= 0:
        return rows, ()
    return rows[rows >= 0], tuple(dict.fromkeys(one for one, row in zip(ids, found, strict=True) if row < 0))
