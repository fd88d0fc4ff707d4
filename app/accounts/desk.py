"""What the routes of accounts share: a name and a password flow in, a token flows out, or a refusal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from threading import Lock

from anyio import CapacityLimiter, to_thread

from app.accounts.credentials import away, later, not_allowed
from app.accounts.forms import PasswordForm
from app.accounts.guard import Guard
from app.errors import Refused
from app.settings import Settings
from vitrina.accounts.passwords import Passwords
from vitrina.accounts.scopes import SCOPES, scopes_of
from vitrina.accounts.sign_ins import Limits, SignIns, Wait
from vitrina.accounts.signing import Rotation, given_keys, present_keys, signer
from vitrina.accounts.tokens import TokenRules, make_token
from vitrina.errors import RequestError, StateError
from vitrina.storage.accounts import Account, Accounts, SigningKey
from vitrina.telemetry.names import SignInOutcome

CHECKS_AT_ONCE = 2  # each takes 64 MiB and a core
UNDER_WAY_AT_MOST = 32
log = logging.getLogger(__name__)


class SignInDesk:
    """One per process; opens the database at first use, so the service starts without it. `now` tells ms since the
    epoch."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], int],
        count: Callable[[SignInOutcome], None] = lambda _: None,
        open_accounts: Callable[[], Accounts] | None = None,
        passwords: Passwords | None = None,
        limits: Limits | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        """`count` is told how each sign-in ended. `ConfigError` for a group of routes or a secret of the settings that
        cannot be."""
        given = "" if settings.token_secrets is None else settings.token_secrets.get_secret_value()
        self._given = given_keys(given.split(",")) if given else ()
        self._now = now
        self._count = count
        self._open = open_accounts or partial(_open, settings.state_address)
        self._opened: Accounts | None = None
        self._opening = Lock()
        self._passwords = passwords or Passwords()
        self._limits = limits or Limits()
        self._rotation = rotation or Rotation()
        self._rules = TokenRules(lifetime_ms=int(settings.token_minutes * 60_000))
        self._checks = CapacityLimiter(CHECKS_AT_ONCE)
        self._under_way = 0
        admin = settings.admin_token
        self.guard = Guard(
            accounts=self.accounts,
            signing_keys=self._signing_keys,
            rules=self._rules,
            now=now,
            required=scopes_of(settings.require_token.replace(" ", "").split(","), where="VITRINA_REQUIRE_TOKEN"),
            admin_token=None if admin is None else admin.get_secret_value(),
        )

    def accounts(self) -> Accounts:
        """The database; blocks, and is tried anew at the next use when it is away (`StateError`)."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    async def sign_in(self, form: PasswordForm, address: str) -> str:
        """An access token. 401 for a wrong name or password, 429 when it was tried too often, 403 for a scope that the
        account does not have, 503 while the database is away. `RequestError` for a scope that is none."""
        try:
            token = await self._signed_in(form, address)
        except StateError as error:
            self._count("failed")
            raise away(error) from error
        except Refused as refusal:
            self._count("throttled" if refusal.status == 429 else "refused")
            raise
        except RequestError:
            self._count("refused")
            raise
        self._count("done")
        return token

    async def _signed_in(self, form: PasswordForm, address: str) -> str:
        if self._under_way >= UNDER_WAY_AT_MOST:
            raise later("too many sign in at once", 1)
        attempt = partial(self._attempt, form.username, form.password, address)
        self._under_way += 1
        try:
            found = await to_thread.run_sync(attempt, limiter=self._checks)
        finally:
            self._under_way -= 1
        if isinstance(found, Wait):
            raise later("too many sign-ins have failed", found.seconds)
        if found is None:
            challenge = {"www-authenticate": "Bearer"}
            raise Refused(401, "the name or the password is wrong", "Sign in with those of an account", challenge)
        scopes = found.scopes if form.scopes is None else _asked(form.scopes, found)
        keys = await self.guard.signing_keys(younger_than=0.0)
        now = self._now()
        key = signer(keys, now=now)
        log.info("signed in", extra={"fields": {"account": found.name}})
        return make_token(found, scopes, key, self._rules, now=now)

    def _attempt(self, name: str, password: str, address: str) -> Account | Wait | None:
        attempts = SignIns(accounts=self.accounts(), passwords=self._passwords, limits=self._limits)
        return attempts.attempt(name, password, address, now=self._now())

    def _signing_keys(self) -> tuple[SigningKey, ...]:
        return self._given or present_keys(self.accounts(), self._rotation, now=self._now())


def _open(address: str) -> Accounts:
    """Imported late: most services have no accounts, and all of them are to start quickly."""
    from vitrina.storage.sql_accounts import SqlAccounts

    return SqlAccounts.open(address, keep=CHECKS_AT_ONCE)


def _asked(scopes: tuple[str, ...], account: Account) -> tuple[str, ...]:
    unknown = [one for one in scopes if one not in account.scopes]
    if not unknown:
        return tuple(one for one in account.scopes if one in scopes)
    if unknown[0] not in SCOPES:
        raise RequestError("a scope that is not known", field="scope", remedy=f"Known are: {', '.join(SCOPES)}")
    raise not_allowed(unknown[0])
