"""The error tree of the library. Every text names the thing that is wrong and the way out.

VitrinaError
├── InputError              what the caller gave cannot be used (CLI: exit code 2)
│   ├── DataError           a data file: names file, row and remedy
│   ├── ConfigError         an option, a mapping or a setting
│   ├── RequestError        a field of a request
│   ├── UnknownItemError    an item that the catalogue does not hold
│   └── AccountError        an account or a key that does not exist, exists already or cannot be made so
├── TokenError              a token that proves nothing: forged, expired, revoked or not ours
├── NoChampionError         nothing is published for this scenario yet
├── ModelFormatError        a model or list folder is broken, or of another schema version
│   └── DamagedError        its files are not what was sealed
├── RegistryError           the registry is out of reach or holds no such version
├── StoreError              the object store is out of reach, or refuses
└── StateError              the state database is out of reach or has another schema version

Only `app/errors.py` turns these into HTTP statuses.
"""

from __future__ import annotations


class VitrinaError(Exception):
    """Base of every error that Vitrina raises on purpose."""


class InputError(VitrinaError):
    """The caller's input cannot be used as it is."""


class DataError(InputError):
    """A data file cannot be used.

    `where` is the file (and row, 1-based with the header as row 1, when known); `remedy` says what to do.
    """

    def __init__(self, problem: str, *, where: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
        self.problem = problem
        self.where = where
        self.remedy = remedy


class ConfigError(InputError):
    """An option, a column mapping or a setting is wrong."""


class RequestError(InputError):
    """A request's field is wrong; `problem` and `remedy` are sentences without a final dot."""

    def __init__(self, problem: str, *, field: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. {remedy}")
        self.problem = problem
        self.field = field
        self.remedy = remedy


class UnknownItemError(InputError):
    """The catalogue of the served model does not hold this item."""


class AccountError(InputError):
    """An account or an API key does not exist, exists already, or cannot be what was asked for."""


class TokenError(VitrinaError):
    """A token or an API key proves nothing. The text tells no more than its bearer may know."""


class NoChampionError(VitrinaError):
    """No model is published for the scenario; the text names the command that makes one."""


class ModelFormatError(VitrinaError):
    """A model or list folder is damaged, incomplete or of another schema version."""


class DamagedError(ModelFormatError):
    """Something that was sealed in a folder is missing or changed, so that no release can read it."""


class RegistryError(VitrinaError):
    """The registry cannot be reached or lacks what was asked for."""


class StateError(VitrinaError):
    """The state database cannot be reached, or its schema is not the one that this library knows."""


class StoreError(VitrinaError):
    """The object store cannot be reached, or refuses what was asked for."""
