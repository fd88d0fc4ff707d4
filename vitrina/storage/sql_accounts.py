"""The accounts in PostgreSQL, or in its embedded twin SQLite."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Unpack

from sqlalchemy import Connection, Engine, Row, Table, delete, insert, select, update

from vitrina.errors import AccountError
from vitrina.storage import state_tables as tables
from vitrina.storage.accounts import Account, AccountChanges, ApiKey, Limit, SigningKey
from vitrina.storage.database import connected, one_at_a_time, open_engine
from vitrina.storage.schema import migrate, require_newest
from vitrina.storage.sign_in_rows import count_attempt, take_back


class SqlAccounts:
    """Accounts over an engine whose database has the newest schema; see `Accounts` for what the methods promise."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, uri: str, *, keep: int = 0) -> SqlAccounts:
        """The accounts at a URI. A SQLite file is made and migrated; a PostgreSQL that is not migrated is a StateError.
        `keep` connections to PostgreSQL stay open between uses."""
        engine = open_engine(uri, keep=keep)
        if engine.dialect.name == "sqlite":
            migrate(engine)
        else:
            require_newest(engine)
        return cls(engine)

    def add_account(self, account: Account) -> None:
        if not _storable(account.name):
            raise AccountError(f"no account can have the name {account.name!r}. Choose letters and digits")
        with connected(self.engine) as connection:
            one_at_a_time(connection, f"account\n{account.name}")
            if _account(connection, account.name) is not None:
                raise AccountError(f"there is an account {account.name!r} already. Choose another name, or delete it")
            connection.execute(insert(tables.accounts).values(_row(account)))

    def account(self, name: str) -> Account | None:
        if not _storable(name):
            return None
        with connected(self.engine) as connection:
            return _account(connection, name)

    def accounts(self) -> list[Account]:
        with connected(self.engine) as connection:
            return [_read_account(row) for row in connection.execute(_all(tables.accounts, "name"))]

    def change_account(self, name: str, **changes: Unpack[AccountChanges]) -> Account:
        if not _storable(name):
            raise _unknown_account(name)
        t = tables.accounts
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in changes.items()}
        with connected(self.engine) as connection:
            changed = connection.execute(update(t).where(t.c.name == name).values(values).returning(*t.columns)).first()
        if changed is None:
            raise _unknown_account(name)
        return _read_account(changed)

    def renew_generations(self, generation: str) -> int:
        with connected(self.engine) as connection:
            one_at_a_time(connection, "generations")
            return connection.execute(update(tables.accounts).values(generation=generation)).rowcount

    def renew_hash(self, name: str, *, before: str, after: str) -> None:
        t = tables.accounts
        same = (t.c.name == name, t.c.password_hash == before)
        with connected(self.engine) as connection:
            connection.execute(update(t).where(*same).values(password_hash=after))

    def delete_account(self, name: str) -> None:
        if not _storable(name):
            raise _unknown_account(name)
        with connected(self.engine) as connection:
            connection.execute(delete(tables.api_keys).where(tables.api_keys.c.account == name))
            if connection.execute(delete(tables.accounts).where(tables.accounts.c.name == name)).rowcount == 0:
                raise _unknown_account(name)

    def add_api_key(self, key: ApiKey) -> None:
        if not _storable(key.account):
            raise _unknown_account(key.account)
        with connected(self.engine) as connection:
            if _account(connection, key.account) is None:
                raise _unknown_account(key.account)
            connection.execute(insert(tables.api_keys).values(_row(key)))

    def api_key(self, key_id: str) -> tuple[ApiKey, Account] | None:
        if not _storable(key_id):
            return None
        keys, owners = tables.api_keys, tables.accounts
        query = select(*keys.columns, *owners.columns).join(owners).where(keys.c.key_id == key_id)
        with connected(self.engine) as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        return _read_api_key(found[: len(keys.columns)]), _read_account(found[len(keys.columns) :])

    def api_keys(self, account: str | None = None) -> list[ApiKey]:
        if account is not None and not _storable(account):
            return []
        query = _all(tables.api_keys, "created", "key_id")
        if account is not None:
            query = query.where(tables.api_keys.c.account == account)
        with connected(self.engine) as connection:
            return [_read_api_key(row) for row in connection.execute(query)]

    def delete_api_key(self, key_id: str) -> None:
        t = tables.api_keys
        with connected(self.engine) as connection:
            if not _storable(key_id) or connection.execute(delete(t).where(t.c.key_id == key_id)).rowcount == 0:
                raise AccountError(f"there is no API key {key_id!r}. vitrina users list shows them")

    def signing_keys(self) -> list[SigningKey]:
        with connected(self.engine) as connection:
            return _signing_keys(connection)

    def add_signing_key(self, key: SigningKey, *, known: Collection[str]) -> list[SigningKey]:
        with connected(self.engine) as connection:
            one_at_a_time(connection, "signing keys")
            present = _signing_keys(connection)
            if any(one.kid not in known for one in present):
                return present
            connection.execute(insert(tables.signing_keys).values(_row(key)))
            return _signing_keys(connection)

    def delete_signing_keys(self, kids: Sequence[str]) -> None:
        with connected(self.engine) as connection:
            connection.execute(delete(tables.signing_keys).where(tables.signing_keys.c.kid.in_(kids)))

    def begin_sign_in(self, buckets: Mapping[str, Limit], *, now: int) -> int:
        with connected(self.engine) as connection:
            return count_attempt(connection, buckets, now)

    def undo_sign_in(self, buckets: Mapping[str, Limit], *, clear: Sequence[str] = (), now: int) -> None:
        with connected(self.engine) as connection:
            take_back(connection, buckets, clear, now)


def _account(connection: Connection, name: str) -> Account | None:
    row = connection.execute(select(*tables.accounts.columns).where(tables.accounts.c.name == name)).first()
    return None if row is None else _read_account(row)


def _signing_keys(connection: Connection) -> list[SigningKey]:
    rows = connection.execute(_all(tables.signing_keys, "created", "kid"))
    return [SigningKey(**_named(tables.signing_keys, row)) for row in rows]


def _all(table: Table, *order: str) -> Any:
    return select(*table.columns).order_by(*(table.c[name] for name in order))


def _row(value: Account | ApiKey | SigningKey) -> dict[str, Any]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(value).items()}


def _named(table: Table, row: Row[Any] | Sequence[Any]) -> dict[str, Any]:
    return {
        column.name: tuple(value) if isinstance(value, list) else value
        for column, value in zip(table.columns, row, strict=True)
    }


def _read_account(row: Row[Any] | Sequence[Any]) -> Account:
    return Account(**_named(tables.accounts, row))


def _read_api_key(row: Row[Any] | Sequence[Any]) -> ApiKey:
    return ApiKey(**_named(tables.api_keys, row))


def _storable(text: str) -> bool:
    """Whether a database can hold the text: PostgreSQL takes no NUL, and neither takes half a character."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _unknown_account(name: str) -> AccountError:
    return AccountError(f"there is no account {name!r}. vitrina users list shows them")
