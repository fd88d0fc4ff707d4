"""The table `sign_ins`: attempts to sign in flow in, how long a bucket is locked flows out.

An attempt counts as failed before its password is looked at, and is taken back when it was right: so attempts that come
at once cannot slip through between the look at the lock and the count. A bucket that leaks is empty at `forgotten`, so
that time alone tells how full it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from vitrina.storage.accounts import Limit
from vitrina.storage.database import one_at_a_time
from vitrina.storage.state_tables import sign_ins

PURGED_AT_ONCE = 100
UNDECIDED_MS = 1_000
"""So long the attempt that has set a lock may still turn out right, and end it."""


def count_attempt(connection: Connection, buckets: Mapping[str, Limit], now: int) -> int:
    """Counts it in every bucket and returns 0, or counts nothing and returns the ms until the last lock may end."""
    t = sign_ins
    present = {name: row for name, row in _present(connection, buckets).items() if row[2] > now}
    wait = max((_wait(row, buckets[name], now) for name, row in present.items()), default=0)
    if wait > 0:
        return wait
    rows = []
    for bucket, limit in buckets.items():
        before, _, forgotten = present.get(bucket, (0, now, now))
        memory = forgotten - now + limit.leak_ms if limit.leaks else limit.forget_ms
        failures = -(-memory // limit.leak_ms) if limit.leaks else before + 1
        until = now + limit.lock_after(failures)
        rows.append({"bucket": bucket, "failures": failures, "locked_until": until, "forgotten": until + memory})
    # Those that another transaction is about to delete or to count in are left to it.
    old = select(t.c.bucket).where(t.c.forgotten <= now).limit(PURGED_AT_ONCE).with_for_update(skip_locked=True)
    connection.execute(delete(t).where(t.c.bucket.in_(old)))
    connection.execute(delete(t).where(t.c.bucket.in_(list(buckets))))
    connection.execute(insert(t), rows)
    return 0


def _wait(row: tuple[int, int, int], limit: Limit, now: int) -> int:
    failures, until, _ = row
    left = until - now
    return min(left, UNDECIDED_MS) if limit.lock_after(failures) - left < UNDECIDED_MS else left


def take_back(connection: Connection, buckets: Mapping[str, Limit], clear: Sequence[str], now: int) -> None:
    """Uncounts an attempt and ends the lock that it set; the buckets of `clear` are forgotten as a whole."""
    t = sign_ins
    for bucket, (failures, until, forgotten) in _present(connection, buckets).items():
        if bucket in clear or failures <= 1:
            connection.execute(delete(t).where(t.c.bucket == bucket))
        else:
            free = min(until, now)
            kept = forgotten - (until - free) - buckets[bucket].leak_ms if buckets[bucket].leaks else forgotten
            row = {"failures": failures - 1, "locked_until": free, "forgotten": kept}
            connection.execute(update(t).where(t.c.bucket == bucket).values(row))


def _present(connection: Connection, buckets: Mapping[str, Limit]) -> dict[str, tuple[int, int, int]]:
    """Failures, end of the lock and end of the memory of the buckets that are there; nobody else counts meanwhile."""
    for bucket in sorted(buckets):  # in one order, so that no two wait for each other
        one_at_a_time(connection, f"sign-in\n{bucket}")
    t = sign_ins
    columns = (t.c.bucket, t.c.failures, t.c.locked_until, t.c.forgotten)
    rows = connection.execute(select(*columns).where(t.c.bucket.in_(list(buckets))))
    return {bucket: (failures, until, forgotten) for bucket, failures, until, forgotten in rows}
