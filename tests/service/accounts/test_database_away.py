"""What holds while the state database is away: those whom the service knows stay in, nobody gets in uncounted."""

from __future__ import annotations

import time

from app.accounts.guard import FRESH_SECONDS
from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate


def test_known_callers_stay_in(serve, postgres_alone, caplog) -> None:
    uri = postgres_alone()
    migrate(open_engine(uri))
    shop = serve(uri)
    shop.register("ann")
    shop.register("bob")
    ann, bob = shop.token("ann"), shop.token("bob")
    assert shop.get("/users/me", ann).status_code == 200
    postgres_alone.stop(crash=True)
    time.sleep(2 * FRESH_SECONDS)  # until then the database is not asked again
    for _ in range(3):
        assert shop.get("/users/me", ann).status_code == 200
        assert shop.get("/bare", ann).status_code == 200
    assert "accounts are taken from memory" in caplog.text
    stranger = shop.get("/users/me", bob)
    assert stranger.status_code == 503, "his account was not asked for yet"
    for answer in (stranger, shop.sign_in("ann")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"]["reason"] == "the accounts cannot be reached"
        assert "postgres" not in answer.text and "127.0.0.1" not in answer.text
    assert "Connection refused" in caplog.text
    postgres_alone.start()
    shop.until(200, "/users/me", bob)
    assert shop.sign_in("ann").status_code == 200


def test_the_service_starts_without_it_and_finds_it_later(serve, postgres, caplog) -> None:
    uri = postgres()
    shop = serve(uri)
    answer = shop.sign_in("ann")
    assert answer.status_code == 503
    assert "Run: vitrina migrate" in caplog.text
    assert shop.client.get("/admin-only").status_code == 401
    migrate(open_engine(uri))
    shop.register("ann")
    assert shop.get("/users/me", shop.token("ann")).status_code == 200
