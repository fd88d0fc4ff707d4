"""Asks a running service for recommendations as a few visitors would, and says how it answered.

    python test_recsys.py                                        # 5 requests with random pauses
    python test_recsys.py --host http://shop:8000 --users 17,42 --requests 100
    python test_recsys.py --users-file users.csv --rate 20 --duration 60 --k 10

Without `--users` it tries the ids 1, 2, ... until three of them have a history (their answers come from `precomputed`
or `history`, not from `popular`) and adds two ids that no log has named. Every request becomes a line of JSON in the
log file. Exit code: 0 when all requests were answered with items, 1 when one was not or nobody listens, 2 on bad input.

Where routes are closed: every request carries the token or API key that the environment variable VITRINA_TOKEN holds.
Needs nothing but Python 3.11, so it can be copied to any machine. It is a simulation, not a test: pytest finds nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO
from urllib.parse import quote, urlsplit

REQUESTS, K = 5, 5
PAUSES = (0.01, 1.0)  # seconds
TRIED_IDS, WANTED_KNOWN, UNKNOWN = 30, 3, 2
FIRST_UNKNOWN = 2**62
WITH_HISTORY = frozenset({"precomputed", "history"})
SHOWN = 20
AT_ONCE = 64
INTERRUPTED = 130
ID_COLUMNS = frozenset({"user", "user_id", "visitorid"})
REMEDY = "set VITRINA_TOKEN to a token or an API key that opens this route, see vitrina users"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request and what came of it; `status` 0 and a `fault` when there was no HTTP answer."""

    at: str
    user: str
    k: int
    status: int
    source: str
    milliseconds: float
    items: tuple[Any, ...]
    fault: str

    @property
    def failed(self) -> bool:
        """Not an answer with items."""
        return bool(self.fault)

    def line(self) -> str:
        """For a terminal."""
        told = self.fault if self.failed else f"{self.source:<12} {', '.join(map(str, self.items))}"
        return f"{self.at[11:23]}  user {self.user:<20} {self.status or '---'}  {self.milliseconds:8.1f} ms  {told}"


class Service:
    """The address of a service; every request has a connection of its own, as those of distinct visitors."""

    def __init__(self, address: str, timeout: float, token: str) -> None:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{address!r} is no address; write for example http://127.0.0.1:8000")
        if not (token.isascii() and token.isprintable()):  # http.client would show it
            raise ValueError("VITRINA_TOKEN holds a character that no header may: write the token or API key alone")
        self._headers = {"Connection": "close"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._base = parts.path.rstrip("/")
        self._timeout = timeout
        self._place = (parts.hostname, parts.port)
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def send(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and body. `OSError` or `http.client.HTTPException` when there is no answer."""
        connection = self._connection(*self._place, timeout=self._timeout)
        try:
            connection.request(method, self._base + path, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, user: str, k: int, since: float | None = None) -> Asked:
        """Recommendations for a user. The time runs from `since` (a `time.perf_counter()`), by default from now."""
        begun = time.perf_counter() if since is None else since
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        status, body, fault = 0, b"", ""
        try:
            status, body = self.send("POST", f"/recommendations?user_id={quote(user, safe='')}&k={k}")
        except TimeoutError:
            fault = f"no answer within {self._timeout:g} s"
        except (OSError, http.client.HTTPException) as error:
            fault = f"no answer: {error or type(error).__name__}"
        milliseconds = 1000 * (time.perf_counter() - begun)
        items, source, fault = read_answer(status, body) if not fault else ((), "", fault)
        return Asked(
            at=at,
            user=user,
            k=k,
            status=status,
            source=source,
            milliseconds=round(milliseconds, 3),
            items=items,
            fault=fault,
        )


def read_answer(status: int, body: bytes) -> tuple[tuple[Any, ...], str, str]:
    """Items, source and fault of an answer; the fault is empty when it is as it should be."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return (), "", f"status {status} without JSON: is this the service?"
    if status != 200:
        error = content.get("error")
        told = f"{error.get('reason')}. {error.get('remedy')}" if isinstance(error, dict) else str(content)[:200]
        return (), "", f"status {status}: {told}"
    items = content.get("recs")
    if not isinstance(items, list) or not items:
        return (), str(content.get("source", "")), "status 200 without items"
    return tuple(items), str(content.get("source", "unnamed")), ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, asks, and returns the exit code."""
    options = read_options(arguments)
    service: Service = options.service
    try:
        service.send("GET", "/healthz")
    except (OSError, http.client.HTTPException) as error:
        print(
            f"Nothing answers on {service.url} ({error or type(error).__name__}).\n"
            "Start the service (vitrina serve, or make up for the whole stack), or name another address: --host URL",
            file=sys.stderr,
        )
        return 1
    try:
        log = options.log.open("w", encoding="utf-8")
    except OSError as error:
        print(f"The log file cannot be written: {error}. Name another: --log FILE", file=sys.stderr)
        return 2
    with log:
        return run(service, options, log)


def run(service: Service, options: argparse.Namespace, log: TextIO) -> int:
    """Looks for users when none are named, asks for them and prints the summary; returns the exit code."""
    dice = random.Random(options.seed)
    lock = threading.Lock()
    sought: list[Asked] = []
    answers: list[Asked] = []

    def note(asked: Asked, into: list[Asked]) -> None:
        with lock:
            into.append(asked)
            log.write(json.dumps(asdict(asked), ensure_ascii=False) + "\n")
            if into is answers and len(into) <= SHOWN:
                print(asked.line(), flush=True)
            elif into is answers and len(into) == SHOWN + 1:
                print("... (the others are in the log file)", flush=True)

    users = options.ids or some_users(service, options.k, dice, lambda asked: note(asked, sought))
    dice.shuffle(users)
    print(f"Asking {service.url} for {len(users)} users, k={options.k}, seed {options.seed}")
    begun = time.perf_counter()
    interrupted = False
    try:
        simulate(service, users, options, dice, lambda asked: note(asked, answers))
    except KeyboardInterrupt:
        interrupted = True
    print(summary(answers, time.perf_counter() - begun))
    print(f"Every request is in {options.log}")
    return INTERRUPTED if interrupted else int(any(one.failed for one in sought + answers))


def some_users(service: Service, k: int, dice: random.Random, note: Callable[[Asked], None]) -> list[str]:
    """A few users with a history, found by asking for small ids, and a few that nobody knows."""
    known: list[str] = []
    tried, fault = 0, ""
    while tried < TRIED_IDS and len(known) < WANTED_KNOWN and not fault:
        tried += 1
        found = service.ask(str(tried), k)
        note(found)
        fault = found.fault
        if found.source in WITH_HISTORY:
            known.append(found.user)
    told = f"users with a history: {', '.join(known)}" if known else "no user with a history; name some with --users"
    print(f"Tried {tried} small ids, found {fault or told}")
    return known + [str(FIRST_UNKNOWN + dice.randrange(10**9)) for _ in range(UNKNOWN)]


def simulate(
    service: Service,
    users: Sequence[str],
    options: argparse.Namespace,
    dice: random.Random,
    note: Callable[[Asked], None],
) -> None:
    """Asks for the users in turn, one request after the other, or at a rate whether or not the service keeps up."""
    turns = moments(options, dice)
    if options.rate is None:
        for turn, _ in turns:
            note(service.ask(users[turn % len(users)], options.k))
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [
            pool.submit(lambda turn, due: note(service.ask(users[turn % len(users)], options.k, due)), turn, due)
            for turn, due in turns
        ]
    for one in waiting:
        one.result()


def moments(options: argparse.Namespace, dice: random.Random) -> Iterator[tuple[int, float]]:
    """Waits until the next request is due and gives its number and that moment, until it is enough.

    With a rate, requests arrive as those of independent visitors do: the gaps are exponential, and a late one is not
    left out.
    """
    begun = due = time.perf_counter()
    turn = 0
    while options.requests is None or turn < options.requests:
        if turn:
            gap = dice.uniform(*PAUSES) if options.rate is None else dice.expovariate(options.rate)
            due = (time.perf_counter() if options.rate is None else due) + gap
        if options.duration is not None and due - begun >= options.duration:
            return
        time.sleep(max(0.0, due - time.perf_counter()))
        yield turn, due
        turn += 1


def summary(answers: Sequence[Asked], seconds: float) -> str:
    """Answers by source, by status, latencies and faults, for a terminal."""
    failed = [one for one in answers if one.failed]
    rate = len(answers) / max(seconds, 1e-9)
    lines = ["", f"{len(answers)} requests in {seconds:.1f} s ({rate:.1f} per second), {len(failed)} failed"]
    lines += table("source", Counter(one.source for one in answers if not one.failed), len(answers))
    lines += table("status", Counter(str(one.status or "none") for one in answers), len(answers))
    latencies = sorted(one.milliseconds for one in answers if one.status)
    if latencies:
        parts = [f"p{share} {percentile(latencies, share):.1f} ms" for share in (50, 95, 99)]
        lines.append(f"  latency   {', '.join(parts)}, max {latencies[-1]:.1f} ms")
    lines += table("fault", Counter(one.fault for one in failed), len(answers))
    lines += [f"  {status}       {REMEDY}" for status in (401, 403) if any(one.status == status for one in failed)]
    return "\n".join(lines)


def table(what: str, counts: Counter[str], of: int) -> list[str]:
    """A line for each value, the most frequent first."""
    return [f"  {what:<8}  {count:6d}  {count / of:6.1%}  {value}" for value, count in counts.most_common()]


def percentile(ordered: Sequence[float], share: int) -> float:
    """The least value that `share` percent of the values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends with code 2 and a sentence on bad input."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--host", "--url", default="http://127.0.0.1:8000", metavar="URL", help="address of the service")
    whom = made.add_mutually_exclusive_group()
    whom.add_argument("--users", metavar="ID,ID,...", help="users to ask for, in turn (default: some are looked for)")
    whom.add_argument("--users-file", type=Path, metavar="FILE", help="ids, one a line, or first column of a CSV file")
    made.add_argument(
        "--requests", type=int, metavar="N", help=f"number of requests ({REQUESTS}, or as --duration has it)"
    )
    made.add_argument(
        "--rate", type=float, metavar="R", help="requests per second on average, instead of random pauses"
    )
    made.add_argument("--duration", type=float, metavar="SECONDS", help="end after this time")
    made.add_argument("--k", type=int, default=K, help=f"items per answer ({K})")
    made.add_argument("--seed", type=int, help="repeat the users' order and the pauses of an earlier run")
    made.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="patience with one request (10)")
    made.add_argument(
        "--log", type=Path, default=Path("test_recsys.log"), help="log file, overwritten (test_recsys.log)"
    )
    options = made.parse_args(arguments)
    for name in ("requests", "rate", "duration", "k", "timeout"):
        value = getattr(options, name)
        if value is not None and not (0 < value < math.inf):
            made.error(f"--{name} {value}: give a number above 0")
    if options.requests is None and options.duration is None:
        options.requests = REQUESTS
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    try:
        # from the environment: options may be seen by others
        options.service = Service(options.host, options.timeout, os.environ.get("VITRINA_TOKEN", "").strip())
        options.ids = read_users(options.users, options.users_file, made.error)
    except (ValueError, OSError) as error:
        made.error(str(error))
    return options


def read_users(listed: str | None, file: Path | None, refuse: Callable[[str], NoReturn]) -> list[str]:
    """Distinct ids in the order given; none when none are given."""
    if listed is None and file is None:
        return []
    if file is None:
        parts = (listed or "").split(",")
    else:
        parts = [line.partition(",")[0].strip('" ') for line in file.read_text(encoding="utf-8").splitlines()]
        parts = parts[1:] if parts and parts[0].lower() in ID_COLUMNS else parts
    ids = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not ids:
        refuse(f"no ids in {file or '--users'}")
    return ids


if __name__ == "__main__":
    sys.exit(main())
