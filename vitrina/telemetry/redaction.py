"""Secrets are crossed out of log lines: the values that the environment holds, and what looks like one in any text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

CROSSED_OUT = "***"
SHORTEST = 4  # of a value; crossing out shorter ones would leave no text to read
_NAMED = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIAL|FERNET_KEY|JWT")
_PLAIN = {"VITRINA_REQUIRE_TOKEN", "VITRINA_TOKEN_MINUTES"}  # named like secrets, and none
_LISTS = {"VITRINA_TOKEN_SECRETS"}
_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS")
_PASSWORD = re.compile(r"://[^/\s:@'\"]*:([^@/\s'\"]+)@")
_LOOKS_SECRET = (
    (re.compile(r"(://[^/\s:@'\"]*:)[^@/\s'\"]+@"), rf"\1{CROSSED_OUT}@"),  # the password of an address
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+"), rf"\1{CROSSED_OUT}"),
    (re.compile(r"\bvtr_[0-9a-f]{12}_[\w-]+"), f"vtr_{CROSSED_OUT}"),  # an API key
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), CROSSED_OUT),  # a JWT
    (re.compile(r"\bbot\d+:[\w-]{20,}"), f"bot{CROSSED_OUT}"),  # the token in addresses of Telegram
)


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values of an environment: of variables named like one, of headers, and passwords inside addresses."""
    found = [value for name, value in environment.items() if _NAMED.search(name) and name not in _PLAIN]
    found += [one.strip() for name in _LISTS & environment.keys() for one in environment[name].split(",")]
    found += [password for value in environment.values() for password in _PASSWORD.findall(value)]
    for name, value in environment.items():
        if _HEADERS.fullmatch(name):
            found += [pair.partition("=")[2].strip() for pair in value.split(",")]
    return tuple(found)


class Redaction:
    """Crosses out given secrets, however a line has written them, and anything that looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {one for one in secrets if len(one) >= SHORTEST}
        known |= {unquote(one) for one in known}
        known |= {written[1:-1] for one in known for written in (json.dumps(one, ensure_ascii=False), repr(one))}
        longest_first = sorted(known, key=lambda one: (-len(one), one))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def clean(self, value: Any) -> Any:
        """A value of JSON with every text in it cleaned; what JSON does not know becomes text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(name): self.clean(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(one) for one in value]
        return self(str(value))

    def __call__(self, text: str) -> str:
        for pattern, instead in _LOOKS_SECRET:
            text = pattern.sub(instead, text)
        return text if self._known is None else self._known.sub(CROSSED_OUT, text)
