"""`vitrina users ...`: accounts, their passwords and API keys, and the keys that sign tokens."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from vitrina.errors import AccountError, ConfigError
from vitrina.storage.accounts import Account, AccountChanges, Accounts, ApiKey
from vitrina.verbs import options
from vitrina.verbs.console import show_accounts, show_json, warn
from vitrina.verbs.options import state_address

DAY = 24 * 60 * 60 * 1000
users = typer.Typer(no_args_is_help=True, help="Who may use the service: accounts, passwords, API keys.")

UserName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account, as it signs in.")]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        envvar="VITRINA_USER_PASSWORD",
        show_envvar=True,
        help="Whoever may list processes sees it; without it, it is asked for or read from standard input.",
    ),
]
FullName = Annotated[str, typer.Option("--full-name", help="What the person is called.")]
Email = Annotated[str, typer.Option("--email", help="Where the person can be written to.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="What it may do: recommendations, events, admin; may be repeated."),
]


@users.command("add")
def add(
    name: UserName,
    password: Password = None,
    full_name: FullName = "",
    email: Email = "",
    scopes: Scopes = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Add an account; without --scope it may ask for recommendations and send events."""
    from vitrina.accounts.passwords import Passwords
    from vitrina.accounts.registration import register
    from vitrina.accounts.scopes import USUAL

    accounts, given = _open(home, state_uri), _password(password)
    made = register(
        accounts,
        Passwords(),
        name=name,
        password=given,
        full_name=full_name,
        email=email,
        scopes=scopes or USUAL,
        now=_now(),
    )
    _warn_of_short(given)
    show_json({"user": _told(made)}, plain=as_json)


@users.command("del")
def delete(
    name: UserName,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Delete an account with its API keys; its tokens end at once."""
    _open(home, state_uri).delete_account(_canonical(name))
    show_json({"deleted": name}, plain=as_json)


@users.command("list")
def list_all(
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Show the accounts and their API keys."""
    accounts = _open(home, state_uri)
    found = [_told(one) for one in accounts.accounts()]
    keys = [_told_key(one) for one in accounts.api_keys()]
    if as_json:
        show_json({"users": found, "keys": keys}, plain=True)
    else:
        show_accounts(found, keys)


@users.command("passwd")
def passwd(
    name: UserName,
    password: Password = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Set another password; tokens that were given before end at once, API keys stay."""
    from vitrina.accounts.passwords import Passwords
    from vitrina.accounts.registration import change_password

    accounts = _open(home, state_uri)
    _existing(accounts, name)
    given = _password(password)
    changed = change_password(accounts, Passwords(), name, given)
    _warn_of_short(given)
    show_json({"user": _told(changed)}, plain=as_json)


@users.command("change")
def change(
    name: UserName,
    full_name: Annotated[str | None, typer.Option("--full-name", help="Another name of the person.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Another address.")] = None,
    scopes: Scopes = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Keep it out with its tokens and keys, or let it in.")
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Change what an account is and may do; the given scopes take the place of those that it has."""
    from vitrina.accounts.registration import checked_text, new_generation
    from vitrina.accounts.scopes import scopes_of

    changes = AccountChanges()
    if full_name is not None:
        changes["full_name"] = checked_text("--full-name", full_name)
    if email is not None:
        changes["email"] = checked_text("--email", email)
    if scopes is not None:
        changes["scopes"] = scopes_of(scopes, where="--scope")
    if disabled is not None:
        changes["disabled"], changes["generation"] = disabled, new_generation()
    if not changes:
        raise ConfigError("nothing to change is named. Give --scope, --disable, --enable, --full-name or --email")
    show_json({"user": _told(_open(home, state_uri).change_account(_canonical(name), **changes))}, plain=as_json)


@users.command("key")
def key(
    name: UserName,
    label: Annotated[str, typer.Option("--label", help="What the key is for.")] = "",
    scopes: Scopes = None,
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="How long it holds.")] = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Make an API key for a program; it is shown this once. Without --scope it may do what its account may."""
    from vitrina.accounts.api_keys import make_api_key

    accounts, now = _open(home, state_uri), _now()
    expires = None if days is None else now + days * DAY
    account = _existing(accounts, name)
    made, text = make_api_key(accounts, account, scopes=scopes or (), label=label, expires=expires, now=now)
    show_json({"key": text, **_told_key(made)}, plain=as_json)


@users.command("del-key")
def delete_key(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Its id, as `vitrina users list` shows it.")],
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Delete an API key; it ends at once."""
    _open(home, state_uri).delete_api_key(key_id)
    show_json({"deleted": key_id}, plain=as_json)


@users.command("rotate")
def rotate(
    context: typer.Context,
    revoke: Annotated[bool, typer.Option("--revoke", help="End every token that was given: all sign in anew.")] = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Replace the key that signs tokens before its turn. Secrets of VITRINA_TOKEN_SECRETS are replaced there."""
    from vitrina.accounts.registration import end_all_tokens
    from vitrina.accounts.signing import Rotation, replace_keys

    given = bool(context.obj.get("VITRINA_TOKEN_SECRETS"))
    if given and not revoke:
        raise ConfigError(
            "the secrets of VITRINA_TOKEN_SECRETS sign tokens, not a key of the database. "
            "Put the new secret first there, NEW,OLD, and restart the service"
        )
    accounts = _open(home, state_uri)
    done: dict[str, Any] = {"revoked": revoke}
    if not given:
        made = replace_keys(accounts, Rotation(), revoke=revoke, now=_now())
        done |= {"kid": made.kid, "used_from": made.used_from}
    if revoke:
        done["accounts"] = end_all_tokens(accounts)
    show_json(done, plain=as_json)


def _open(home: Path, state_uri: str | None) -> Accounts:
    from vitrina.storage.sql_accounts import SqlAccounts

    return SqlAccounts.open(state_address(home, state_uri))


def _canonical(name: str) -> str:
    from vitrina.accounts.registration import canonical_name

    return canonical_name(name) or name


def _existing(accounts: Accounts, name: str) -> Account:
    found = accounts.account(_canonical(name))
    if found is None:
        raise AccountError(f"there is no account {name!r}. vitrina users list shows them")
    return found


def _password(given: str | None) -> str:
    """The given one, a line of standard input, or what a person types."""
    if given is None and sys.stdin.isatty():
        given = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    elif given is None:
        given = sys.stdin.readline().rstrip("\r\n")
    return given


def _warn_of_short(kept: str) -> None:
    from vitrina.accounts.passwords import SHORT

    if len(kept) < SHORT:
        warn(f"the password has under {SHORT} characters; a longer one is harder to guess")


def _told(account: Account) -> dict[str, Any]:
    fields = ("name", "full_name", "email", "scopes", "disabled", "created")
    return {name: getattr(account, name) for name in fields}


def _told_key(key: ApiKey) -> dict[str, Any]:
    fields = ("key_id", "account", "label", "scopes", "created", "expires")
    return {name: getattr(key, name) for name in fields}


def _now() -> int:
    return time.time_ns() // 1_000_000
