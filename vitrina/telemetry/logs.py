"""Log lines on standard error: one JSON object a line for machines, or a line of text for people.

Records of `logging` flow in, whoever made them (ours, uvicorn, gunicorn, sqlalchemy, alembic, Python's warnings), and
lines of one form flow out. What a process works on (run, scenario, step) and what a request is (its id, its trace)
is added to each of its lines; secrets are crossed out. What goes wrong at every request does not fill the disk.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any

from vitrina.errors import ConfigError
from vitrina.telemetry.rate import Rate
from vitrina.telemetry.redaction import Redaction, secrets_in

FORMATS = ("text", "json", "auto")
LEVELS = ("debug", "info", "warning", "error")
OURS = ("vitrina", "app", "uvicorn", "gunicorn")  # the level is theirs; other libraries say warnings and worse
COLOURS = {logging.DEBUG: "2", logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
LINES_PER_SECOND = 10.0  # of warnings and errors from one place of the code
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\t", 10: "\\n", 13: "\\r"}

REQUEST: ContextVar[Mapping[str, str] | bytes] = ContextVar("request")
"""Fields of the request that is being handled, or its id alone as it was read; unset outside of one."""
_process: dict[str, str] = {}


def configure(environment: Mapping[str, str], *, terminal: bool, secrets: Iterable[str] = ()) -> None:
    """Makes every record of this process a line, as VITRINA_LOG_FORMAT and VITRINA_LOG_LEVEL say.

    `terminal` says whether standard error is one; `secrets` are crossed out besides those in the environment.
    `ConfigError` for a value that is none of the known ones.
    """
    form = _chosen(environment, "VITRINA_LOG_FORMAT", FORMATS, "text")
    level = _chosen(environment, "VITRINA_LOG_LEVEL", LEVELS, "info").upper()
    as_json = form == "json" or (form == "auto" and not terminal)
    redaction = Redaction([*secrets_in(environment), *secrets])
    handler = StandardError()
    handler.addFilter(Bounded())
    handler.setFormatter(
        JsonLine(redaction) if as_json else TextLine(redaction, colour=terminal and not environment.get("NO_COLOR"))
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, StandardError)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    _process.clear()
    if as_json:
        logging.captureWarnings(True)
        sys.excepthook = _uncaught
        threading.excepthook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)


def json_lines() -> bool:
    """Whether `configure` has chosen JSON."""
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, StandardError)]
    return bool(handlers) and isinstance(handlers[0].formatter, JsonLine)


def bind(**fields: str | None) -> None:
    """Adds fields to every later line of this process, whichever thread writes it; None takes one away."""
    for name, value in fields.items():
        if value is None:
            _process.pop(name, None)
        else:
            _process[name] = value


class StandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is at that moment: progress bars put themselves in between."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> IO[str]:
        return sys.stderr


class Bounded(logging.Filter):
    """Lets warnings and errors of one place pass at a bounded rate, and then tells how many it held back. A record with
    `extra={"always": True}` passes."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], Rate] = {}
        self._unsaid: Counter[tuple[str, int]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or getattr(record, "always", False):
            return True
        place = (record.pathname, record.lineno)
        if not self._places.setdefault(place, Rate(LINES_PER_SECOND)).allows(record.created):
            self._unsaid[place] += 1
            return False
        if held := self._unsaid.pop(place, 0):
            record.fields = {**getattr(record, "fields", {}), "unsaid": held}
        return True


class JsonLine(logging.Formatter):
    """time (UTC), level, logger, message, the fields of process, request and record, the exception with its trace."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if trace := _trace(self, record):
            line["exception"] = trace
        return json.dumps({name: self._redaction.clean(value) for name, value in line.items()}, ensure_ascii=False)


class TextLine(logging.Formatter):
    """The same for people, with the trace on the lines below; colours tell the level."""

    def __init__(self, redaction: Redaction, *, colour: bool = False) -> None:
        super().__init__()
        self._redaction = redaction
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        if self._colour:
            level = f"\x1b[{COLOURS.get(record.levelno, '0')}m{level}\x1b[0m"
        rest = [record.getMessage(), *(f"{name}={value}" for name, value in fields_of(record).items())]
        text = f"{record.name}: " + " ".join(one.translate(CONTROL) for one in rest)
        if trace := _trace(self, record):
            text += f"\n{trace}"
        return f"{_time(record)} {level} {self._redaction(text)}"


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says beside its message; a record brings its own as `extra={"fields": {...}}`."""
    request = REQUEST.get({})
    told = {"request_id": request.decode()} if isinstance(request, bytes) else request
    return {**_process, **told, **getattr(record, "fields", {})}


def _chosen(environment: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = (environment.get(name) or default).lower()
    if value not in known:
        raise ConfigError(f"{name}: {value!r} is not known. Set one of: {', '.join(known)}")
    return value


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    return "\n".join([*parts, *([record.stack_info] if record.stack_info else [])])


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("vitrina").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))
