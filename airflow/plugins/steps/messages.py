"""Messages of Telegram: the outcome of a run flows in, one text goes out to the chat."""

from __future__ import annotations

import asyncio
import html
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 4096  # what Telegram takes, in UTF-16 units
# Longer than Telegram's slowest answers: a message whose answer is not awaited would be sent a second time.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 90.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended. `results` are the JSON results of the steps that succeeded, `failed` is the first step that did
    not; `model_pages` is the address to which a version is added."""

    scenario: str
    as_of: str
    results: Mapping[str, Mapping[str, Any]]
    complete: bool
    failed: str | None
    reason: str | None
    run_page: str
    log_page: str
    model_pages: str | None


def text_of(outcome: Outcome) -> str:
    """The message in Telegram's HTML, at most LONGEST units; what is too long loses the end of its reasons."""
    return _success(outcome) if outcome.complete else _failure(outcome)


def _success(outcome: Outcome) -> str:
    found: dict[str, Any] = {}
    for result in outcome.results.values():
        found |= result
    registered, champion = outcome.results.get("register", {}), found.get("champion")
    version = registered.get("version")
    stays = f"champion stays version {champion}" if champion else "there is no champion"
    if found.get("promoted") and registered.get("judged") == "champion":
        title = f"{outcome.scenario}: the champion's recipe stays, version {champion} is fitted anew"
    elif found.get("promoted"):
        title = f"{outcome.scenario}: version {champion} is the new champion"
    elif version is None:
        title = f"{outcome.scenario}: trained"
    elif found.get("challenger"):
        title = f"{outcome.scenario}: version {version} waits as challenger, {stays}"
    else:
        title = f"{outcome.scenario}: version {version} is not promoted, {stays}"
    links = [f'<a href="{html.escape(outcome.run_page)}">Airflow run</a>']
    if version is not None and outcome.model_pages is not None:
        links.insert(0, f'<a href="{html.escape(f"{outcome.model_pages}/{version}")}">model version {version}</a>')
    winner = registered.get("winner")
    facts = f"data before {outcome.as_of}" + (f", model: {winner}" if winner else "")
    tables = [_table(name, scores) for name, scores in found.items() if "@" in name and isinstance(scores, Mapping)]
    table = "".join(tables[:1])
    head = f"<b>{html.escape(title)}</b>\n{html.escape(facts)}\n{table}"
    why = "; ".join(str(reason) for reason in found.get("reasons", ()))
    return _fitted(head, why, "\n" + " | ".join(links))


def _table(metric: str, scores: Mapping[str, float]) -> str:
    """The recipes by the metric that the gate decides by, the best first."""
    width = max(len("recipe"), *(len(name) for name in scores))
    order = sorted(scores, key=lambda name: (-_known(scores[name]), name))
    rows = [f"{'recipe':{width}}  {metric.upper()}", *(f"{name:{width}}  {scores[name]:.4f}" for name in order)]
    return f"<pre>{html.escape(chr(10).join(rows))}</pre>\n"


def _known(score: float) -> float:
    return -math.inf if math.isnan(score) else score


def _failure(outcome: Outcome) -> str:
    what = f"the task {outcome.failed} failed" if outcome.failed else "the run did not finish"
    head = f"<b>{html.escape(f'{outcome.scenario}: {what}')}</b>\n{html.escape(f'data before {outcome.as_of}')}\n"
    reason = outcome.reason or "It left no error text: it was killed, ran out of memory or lost its machine."
    tail = f'\nWhat is served stays as it was.\n<a href="{html.escape(outcome.log_page)}">log</a>'
    return _fitted(head, reason, tail)


def _fitted(head: str, detail: str, tail: str) -> str:
    room = LONGEST - _units(head) - _units(tail)
    shown = html.escape(detail, quote=False)
    if _units(shown) > room:
        pieces, used = [], _units("…")
        for character in detail:
            piece = html.escape(character, quote=False)
            used += _units(piece)
            if used > room:
                break
            pieces.append(piece)
        shown = "".join(pieces) + "…"
    return head + shown + tail


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class RefusedError(Exception):
    """Telegram will not take this message, however often it is sent."""


def send(text: str, *, token: str, chat_id: str, base_url: str) -> int:
    """Sends the text and gives the message's number. `RefusedError` when Telegram refuses it, else what
    python-telegram-bot raises when it did not arrive."""
    from telegram.error import BadRequest, ChatMigrated, EndPointNotFound, Forbidden, InvalidToken

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and the token is a part of them
    try:
        return asyncio.run(_send(text, token, chat_id, base_url))
    except (BadRequest, ChatMigrated, EndPointNotFound, Forbidden, InvalidToken) as error:
        raise RefusedError(f"Telegram refuses the message: {error}") from error


async def _send(text: str, token: str, chat_id: str, base_url: str) -> int:
    from telegram import Bot
    from telegram.constants import ParseMode
    from telegram.request import HTTPXRequest

    request = HTTPXRequest(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, write_timeout=CONNECT_SECONDS)
    async with Bot(token, base_url=f"{base_url}/bot", request=request) as bot:
        sent = await bot.send_message(chat_id=chat_id, text=text, parse_mode=ParseMode.HTML)
    return sent.message_id
