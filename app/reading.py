"""Reads a request without a framework: the query string, a bounded body, ids in the model's type.

The hot routes use it because a dependency-injected handler costs more than the answer itself. Every fault is a
`RequestError` that names the field.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import orjson
from starlette.types import Receive, Scope

from app.errors import too_large
from vitrina.errors import RequestError
from vitrina.serving.answer import Ask
from vitrina.serving.lookup import Id

MAX_K = 100
DEFAULT_K = 10
MAX_SESSION = 200
MAX_EXCLUDE = 500
MAX_CATEGORIES = 100
MAX_ID_LENGTH = 128
SHOWN = 60
INT64 = 2**63
ONLY_INTEGERS = frozenset({int})
BODY_FIELDS = frozenset({"session", "exclude", "filter"})
FILTER_FIELDS = frozenset({"category", "available"})
NO_FILTER: dict[str, Any] = {}
DRAINED_BYTES = 32 * 1024 * 1024

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_K = re.compile(r"[1-9][0-9]{0,2}")
IdKind = Literal["int", "str"]


def query_fields(raw: bytes) -> dict[str, str]:
    """The decoded fields of a query string. `RequestError` for a field given twice or bytes that are not utf-8."""
    fields: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        key, _, value = pair.partition(b"=")
        if b"%" in pair or b"+" in pair:
            key, value = unquote_to_bytes(key.replace(b"+", b" ")), unquote_to_bytes(value.replace(b"+", b" "))
        try:
            name, text = key.decode(), value.decode()
        except UnicodeDecodeError as error:
            raise RequestError("not utf-8", field="query", remedy="Percent-encode the text as utf-8") from error
        if name in fields:
            raise RequestError("given twice", field=name, remedy="Give it once")
        fields[name] = text
    return fields


def query_id(fields: dict[str, str], name: str, kind: IdKind) -> Id:
    """A required id in the model's type."""
    text = fields.get(name)
    if not text:
        raise RequestError("missing", field=name, remedy=f"Add {name}=... to the query")
    if kind == "int":
        if _INTEGER.fullmatch(text) and -INT64 <= (number := int(text)) < INT64:
            return number
        raise RequestError("not an integer of 64 bits", field=name, remedy="Send an integer such as 17")
    return _text_id(text, name)


def query_k(fields: dict[str, str]) -> int:
    """How many items: 1 .. 100, 10 when not given."""
    text = fields.get("k")
    if text is None:
        return DEFAULT_K
    if _K.fullmatch(text) and int(text) <= MAX_K:
        return int(text)
    raise RequestError(f"not an integer from 1 to {MAX_K}", field="k", remedy="Send for example k=10")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, at most `limit` bytes; of a longer one nothing is kept, and it is refused with 413."""
    length: bytes | None = None
    chunked = waits = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"expect":
            waits = True
    if not chunked and (length is None or length == b"0"):
        return b""
    if length is not None and (not length.isdigit() or int(length) > limit):
        if not waits:
            await _drain(receive)
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("cut off", field="body", remedy="Send the whole body")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            parts.clear()
            if message.get("more_body"):
                await _drain(receive)
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _drain(receive: Receive) -> None:
    """Lets a sender finish, so that it reads the refusal instead of a reset; drops the bytes, up to a bound."""
    dropped = 0
    while dropped <= DRAINED_BYTES:
        message = await receive()
        dropped += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def parsed(body: bytes) -> Any:
    """What the body says in JSON, which knows no NaN and no Infinity. `RequestError` for a field given twice."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(body, error) from error
    if body.count(b":") > _fields(content):  # it holds colons that end no name, or names a field twice
        try:
            json.loads(body, object_pairs_hook=_once)
        except RecursionError as error:
            raise RequestError("nested too deeply", field="body", remedy="Send a flat JSON object") from error
    return content


def _fields(content: object) -> int:
    """How many fields a request's object and those right under it have; each is a colon in the body."""
    if type(content) is not dict:
        return 0
    fields = len(content)
    for value in content.values():
        if type(value) is dict:
            fields += len(value)
        elif type(value) is list and value and type(value[0]) is dict:
            fields += sum(len(one) for one in value if type(one) is dict)
    return fields


def _once(pairs: list[tuple[str, Any]]) -> None:
    """`RequestError` for an object that names a field twice, of which a reader would silently take the last."""
    names = set()
    for name, _ in pairs:
        if name in names:
            raise RequestError("given twice", field=_shown(name), remedy="Give it once")
        names.add(name)


def _unreadable(body: bytes, error: orjson.JSONDecodeError) -> RequestError:
    """What is wrong with text that is no JSON."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return RequestError(f"not UTF-8 at byte {wrong.start}", field="body", remedy="Send the text as UTF-8")
    where = f"line {error.lineno}, column {error.colno}"
    if "infinity" in error.msg:
        problem, remedy = f"a number that is too large at {where}", "Send numbers below 1e308"
        return RequestError(problem, field="body", remedy=remedy)
    return RequestError(f"not JSON at {where}", field="body", remedy="Send a JSON object")


def read_ask(user: Id, k: int, body: bytes, item_kind: IdKind) -> Ask:
    """The request that query and JSON body make up; an empty body is none."""
    if not body:
        return Ask(user=user, k=k)
    content = parsed(body)
    if not isinstance(content, dict):
        raise RequestError("not a JSON object", field="body", remedy='Send for example {"session": [17]}')
    only_known(content, BODY_FIELDS)
    rules = content.get("filter")
    if rules is None:
        rules = NO_FILTER
    if not isinstance(rules, dict):
        raise RequestError("not a JSON object", field="filter", remedy='Send for example {"available": true}')
    only_known(rules, FILTER_FIELDS, "filter.")
    available, category = rules.get("available"), rules.get("category")
    if available is not None and not isinstance(available, bool):
        raise RequestError("not true or false", field="filter.available", remedy="Send true, or leave it out")
    return Ask(
        user=user,
        k=k,
        session=_ids(content.get("session"), "session", item_kind, MAX_SESSION),
        exclude=_ids(content.get("exclude"), "exclude", item_kind, MAX_EXCLUDE),
        category=None if category is None else _categories(category),
        available=available is True,
    )


def only_known(content: dict[str, Any], known: frozenset[str], place: str = "") -> None:
    """`RequestError` when an object has other fields than these; `place` is what stands before its first one's name."""
    if not content.keys() <= known:
        name = place + _shown(next(one for one in content if one not in known))
        raise RequestError("a field that is not known", field=name, remedy=f"Known fields: {', '.join(sorted(known))}")


def _shown(name: str) -> str:
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}..."


def _ids(value: object, field: str, kind: IdKind, most: int) -> tuple[Id, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RequestError("not a list of item ids", field=field, remedy="Send for example [17, 4]")
    if len(value) > most:
        raise RequestError(f"over {most} items", field=field, remedy="Send the most recent ones")
    if kind == "int":
        return _integers(value, field)
    return tuple(_text_id(one, field) for one in value)


def _integers(values: list[object], field: str) -> tuple[int, ...]:
    """As JSON has it, 17.0 is the integer 17; true is none. A float of 2**63 may be a rounded, longer number."""
    if ONLY_INTEGERS.issuperset(map(type, values)) and all(-INT64 <= one < INT64 for one in values):  # type: ignore[operator]  # all int
        return tuple(values)  # type: ignore[arg-type]  # all int
    whole = [int(one) if type(one) is float and one.is_integer() and abs(one) < INT64 else one for one in values]
    if not all(type(one) is int and -INT64 <= one < INT64 for one in whole):
        raise RequestError("holds what is no integer of 64 bits", field=field, remedy="Send integers")
    return tuple(whole)  # type: ignore[arg-type]  # checked above


def _text_id(value: object, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH:
        problem = f"an id that is not text of 1 to {MAX_ID_LENGTH} characters"
        raise RequestError(problem, field=field, remedy="Send strings")
    return value


def _categories(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MAX_CATEGORIES:
        problem = f"not 1 to {MAX_CATEGORIES} categories"
        raise RequestError(problem, field="filter.category", remedy="Send an id or a list of ids")
    return tuple(sorted(set(_integers(values, "filter.category"))))
