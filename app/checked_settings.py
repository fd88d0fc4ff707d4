"""Settings that cannot be: the environment flows in, and what no service can be made of is told before one starts."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from app.settings import Settings
from vitrina.errors import ConfigError
from vitrina.telemetry.redaction import Redaction

KINDS: dict[object, str] = {float: "a number", int: "a whole number", bool: "true or false", Path: "a folder"}
TEXTS = {
    "graphite": "HOST:PORT, for instance carbon:2003",
    "graphite_prefix": "names of letters, digits, '_' and '-' with dots between, for instance shop.{host}",
}
SHOWN = 60
LAST_PORT = 65_535
ANYBODY = "*"
BOUNDS = {"gt": "above", "ge": "from", "le": "up to"}
WITHOUT_PASSWORDS = Redaction()


def read_settings() -> Settings:
    """The settings of the environment. `ConfigError` names the variable that is wrong and what to write instead."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError("; ".join(_wrong(one) for one in error.errors())) from error


def check(settings: Settings, *, trusted: str = "") -> None:
    """`ConfigError` for what is well written and still cannot be: an unknown group, a short secret, an address that is
    none, a folder that cannot be made, a proxy of `trusted` that has no address. Nothing is connected to."""
    from app.accounts.desk import SignInDesk
    from app.following import champion_source, object_store

    SignInDesk(settings, now=lambda: 0)
    check_proxies(trusted)
    port = settings.graphite.rpartition(":")[2]
    if port and not 0 < int(port) <= LAST_PORT:
        raise ConfigError(f"VITRINA_GRAPHITE={_shown(settings.graphite)}: write {TEXTS['graphite']}")
    if settings.state_uri:  # only then: what reads it takes long to import, and most services have no accounts
        from vitrina.storage.database import address

        address(settings.state_uri)
    for name, made in (
        ("registry_uri", lambda: champion_source(settings, settings.registered_model)),
        ("objects_uri", lambda: object_store(settings)),
    ):
        try:
            made()
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{variable(name)}: {WITHOUT_PASSWORDS(str(error))}") from error
    _folder("home", settings.copies_root, settings.home)
    if settings.metrics_folder is not None:
        _folder("metrics_folder", settings.metrics_folder, settings.metrics_folder)


def check_proxies(trusted: str) -> None:
    """`ConfigError` for what uvicorn would take as a name, which no address of a caller is ever equal to."""
    if trusted == ANYBODY:
        return
    for one in filter(None, (part.strip() for part in trusted.split(","))):
        try:
            ip_network(one)
        except ValueError as error:
            raise ConfigError(
                f"FORWARDED_ALLOW_IPS={_shown(one)}: write addresses or networks of proxies, a comma between, "
                "for instance 10.0.0.2,192.168.0.0/24"
            ) from error


def variable(name: str) -> str:
    """The variable of a field."""
    return f"VITRINA_{name.upper()}"


def _wrong(fault: Any) -> str:
    """One fault of pydantic as the variable, its value unless it is a secret, and what to write instead."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    field = Settings.model_fields.get(name)
    own = fault.get("ctx", {}).get("error")
    said = str(own) if own is not None else f"write {_wanted(name, field)}" if field is not None else fault["msg"]
    if field is None:
        return said
    secret = SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    return f"{variable(name)}{'' if secret else '=' + _shown(fault['input'])}: {said}"


def _wanted(name: str, field: FieldInfo) -> str:
    """What such a field takes."""
    if name in TEXTS:
        return TEXTS[name]
    bounds = [
        f"{word} {getattr(one, bound):g}"
        for one in field.metadata
        for bound, word in BOUNDS.items()
        if hasattr(one, bound)
    ]
    kind = KINDS.get(field.annotation, "another text")
    example = "" if field.annotation is bool or field.default is None else f", for instance {field.default}"
    return f"{kind} {', '.join(bounds)}".strip() + example


def _shown(value: object) -> str:
    text = WITHOUT_PASSWORDS(str(value))
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _folder(name: str, folder: Path, named: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"{variable(name)}={_shown(named)}: the folder cannot be made ({error.strerror})"
        raise ConfigError(f"{reason}. Name one that can be written") from error
