"""Asks a running service which products made-up clients take, many times, and says how it answered.

    python run_mimic_load.py                                   # 10,000 times GET /random on http://127.0.0.1:8000
    python run_mimic_load.py -n 500 --ask predict --workers 4
    python run_mimic_load.py --url http://bank:8000 --ask predict_proba --seed 7

The clients of `--ask predict` and `predict_proba` are drawn by a seed: some without an income, some without history
rows, some with fields left out. At the end stand answers by status, requests per second, latencies, positive
predictions by product, and whether the service's own /metrics has counted the same. Exit code: 0 when every request was
answered with 200 and /metrics counts no less, 1 when not or nobody listens, 2 on bad input, 130 after Ctrl-C.

Where routes are closed: every request carries the token or API key that the environment variable VITRINA_TOKEN holds.
Needs nothing but Python 3.11, so it can be copied to any machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

REQUESTS, WORKERS, MOST_WORKERS = 10_000, 8, 64
ROUTES = {"random": ("GET", "/random"), "predict": ("POST", "/predict"), "predict_proba": ("POST", "/predict_proba")}
NEWEST = date(2016, 5, 28)
EARLIER = ("28-04-2016", "28-03-2016", "28-02-2016", "28-01-2016", "28-12-2015", "28-11-2015")
SETTLE_SECONDS, INTERRUPTED = 3.0, 130
PRODUCTS = {
    "ind_1m_savings_acc": "Сберегательный счёт",
    "ind_1m_guarantee": "Банковская гарантия",
    "ind_1m_checking_acc": "Текущий счёт",
    "ind_1m_derivatives": "Счёт для производных инструментов",
    "ind_1m_payroll_acc": "Зарплатный счёт",
    "ind_1m_junior_acc": "Детский счёт",
    "ind_1m_mature_acc_3": "Личный счёт «Мас»",
    "ind_1m_operations_acc": "Личный счёт",
    "ind_1m_pension_acc_2": "Личный счёт «Плюс»",
    "ind_1m_short_term_deposit": "Краткосрочный вклад",
    "ind_1m_medium_term_deposit": "Среднесрочный вклад",
    "ind_1m_long_term_deposit": "Долгосрочный вклад",
    "ind_1m_digital_account": "Цифровой счёт",
    "ind_1m_cash_funds": "Инвестиционные фонды",
    "ind_1m_mortgage": "Ипотека",
    "ind_1m_pension_plan": "Пенсионный план",
    "ind_1m_loans": "Кредит",
    "ind_1m_tax_account": "Уплата налогов",
    "ind_1m_credit_card": "Кредитная карта",
    "ind_1m_securities": "Ценные бумаги",
    "ind_1m_home_acc": "Счёт на жильё",
    "ind_1m_salary_acc": "Зачисление зарплаты",
    "ind_1m_pension_obligation_account": "Зачисление пенсии",
    "ind_1m_debit_account": "Автоматические платежи",
}
"""Columns of requests and of /metrics, and what answers call them."""
SEGMENTS = ("01 - TOP", "02 - PARTICULARES", "03 - UNIVERSITARIO")
PROVINCES = (("28", "MADRID"), ("8", "BARCELONA"), ("46", "VALENCIA"), ("41", "SEVILLA"), ("15", "CORUÑA, A"))
SAMPLE = re.compile(r"^(vitrina_\w+)\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
REMEDY = "set VITRINA_TOKEN to a token or an API key that opens this route, see vitrina users"


@dataclass
class Tally:
    """What was answered: by status ("none" without an answer), faults, milliseconds, positive predictions by name."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    products: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.statuses.total()

    def note(self, status: int, body: bytes, milliseconds: float, fault: str) -> None:
        """An answer, or the `fault` of none."""
        self.statuses[str(status or "none")] += 1
        if status:
            self.milliseconds.append(milliseconds)
        content = read(body)
        if status == 200 and content is not None:
            self.products.update(name for name, value in content.items() if value == 1 and isinstance(value, int))
        else:
            told = (content or {}).get("error")
            reason = told.get("reason") if isinstance(told, dict) else body[:80]
            self.faults[fault or f"status {status}: {reason!r}"] += 1


def read(body: bytes) -> dict[str, Any] | None:
    """The object of an answer, if it is one."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


class Connection:
    """A connection to the service that stays open from request to request, and is opened anew after a fault."""

    def __init__(self, url: str, timeout: float, token: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; write for example http://127.0.0.1:8000")
        if not (token.isascii() and token.isprintable()):  # http.client would show it
            raise ValueError("VITRINA_TOKEN holds a character that no header may: write the token or API key alone")
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self.close = self._connection.close

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body. `OSError` or `http.client.HTTPException` when there is no answer."""
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        try:
            self._connection.request(method, self._base + path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise


class Load:
    """So many requests by a few workers, each with a connection and dice of its own."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.tally = Tally()
        self._options = options
        self._lock = threading.Lock()
        self._left = options.requests

    def run(self) -> bool:
        """Returns when all are done or Ctrl-C was pressed; whether they are done."""
        seeds = [f"{self._options.seed}-{n}" for n in range(self._options.workers)]
        threads = [threading.Thread(target=self._work, args=(random.Random(seed),), daemon=True) for seed in seeds]
        for thread in threads:
            thread.start()
        try:
            self._watch(threads)
        except KeyboardInterrupt:
            self._left = 0
        for thread in threads:
            thread.join()
        return self.tally.requests == self._options.requests

    def _watch(self, threads: Sequence[threading.Thread]) -> None:
        """Shows progress: on a terminal in one line, else in ten."""
        of, shown, terminal = self._options.requests, 0, sys.stderr.isatty()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                tenths = 10 * self.tally.requests // of
                if terminal or tenths > shown:
                    end = "\r" if terminal else "\n"
                    print(f"{self.tally.requests} of {of} requests", end=end, file=sys.stderr, flush=True)
                    shown = tenths

    def _work(self, dice: random.Random) -> None:
        connection = Connection(self._options.url, self._options.timeout, self._options.token)
        method, path = ROUTES[self._options.ask]
        while self._next():
            body = json.dumps(client(dice)).encode() if method == "POST" else None
            status, answer, fault = 0, b"", ""
            begun = time.perf_counter()
            try:
                status, answer = connection.send(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                fault = f"no answer: {error or type(error).__name__}"
            milliseconds = 1000 * (time.perf_counter() - begun)
            with self._lock:
                self.tally.note(status, answer, milliseconds, fault)

    def _next(self) -> bool:
        """Whether there is one more to do; it counts as taken then."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


def client(dice: random.Random) -> dict[str, Any]:
    """A made-up client as a request describes one."""
    joined = NEWEST - timedelta(days=dice.randrange(30, 7_000))
    province = dice.choice(PROVINCES)
    owned = {column: int(dice.random() < 0.08) for column in PRODUCTS}
    owned["ind_1m_checking_acc"] = int(dice.random() < 0.6)
    made: dict[str, Any] = {
        "fetch_date": f"{NEWEST:%d-%m-%Y}",
        "id": dice.randrange(10**6, 2 * 10**6),
        "ind_employee": "N",
        "country_of_residence": "ES",
        "gender": dice.choice("HV"),
        "age": min(100, max(2, round(dice.gauss(42, 16)))),
        "registration_date": f"{joined:%d-%m-%Y}",
        "ind_new_client": "0",
        "tenure_months": (NEWEST - joined).days // 30,
        "client_relationship_status": "1",
        "client_type_1m": "1",
        "client_activity_1m": dice.choice("AI"),
        "ind_resident": "S",
        "ind_foreigner": "N",
        "entry_channel": dice.choice(("KHE", "KAT", "KFC", "KHQ", "RED")),
        "ind_deceased": "N",
        "province_code": province[0],
        "province_name": province[1],
        "ind_client_activity": dice.choice("01"),
        "income": round(dice.lognormvariate(11.5, 0.6), 2) if dice.random() < 0.8 else None,
        "client_segment": dice.choice(SEGMENTS),
        **owned,
    }
    for name in ("gender", "entry_channel", "client_activity_1m", "client_segment"):
        if dice.random() < 0.03:
            del made[name]
    if dice.random() < 0.5:
        made["history"] = [{"fetch_date": month, **owned} for month in EARLIER[: dice.randrange(1, len(EARLIER) + 1)]]
    return made


class Counted:
    """What /metrics counts of a route: answers by status, positive predictions by column."""

    def __init__(self, text: str, path: str) -> None:
        self.statuses: Counter[str] = Counter()
        self.products: Counter[str] = Counter()
        for name, listed, value in SAMPLE.findall(text):
            labels = dict(LABEL.findall(listed))
            if name == "vitrina_http_requests_total" and labels["route"] == path:
                self.statuses[labels["status"]] += round(float(value))
            elif name == "vitrina_predicted_products_total":
                self.products[labels["product"]] += round(float(value))


def counted(connection: Connection, path: str) -> Counted | None:
    """What the service has counted until now; None when its /metrics cannot be asked."""
    try:
        status, body = connection.send("GET", "/metrics")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()  # the next look may be later than the service keeps it open
    return Counted(body.decode(), path) if status == 200 else None


def differences(before: Counted, after: Counted, tally: Tally) -> dict[str, int]:
    """What /metrics counted beyond what was answered, by status and by product; below 0 it has missed some."""
    columns = {name: column for column, name in PRODUCTS.items()}
    seen = {**tally.statuses, **{columns.get(name, name): count for name, count in tally.products.items()}}
    seen.pop("none", None)  # whether the service answered, nobody knows
    told = {key: after.statuses[key] - before.statuses[key] for key in {*after.statuses, *tally.statuses} - {"none"}}
    told |= {key: after.products[key] - before.products[key] for key in {*after.products, *seen} - {*told}}
    return {key: count - seen.get(key, 0) for key, count in told.items() if count != seen.get(key, 0)}


def compared(connection: Connection, path: str, before: Counted | None, tally: Tally) -> tuple[str, bool]:
    """A sentence on /metrics, and whether it missed something. Asked again for some seconds while it lacks some."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        after = counted(connection, path)
        if before is None or after is None:
            return "not compared: /metrics does not answer, or not to this VITRINA_TOKEN", False
        found = differences(before, after, tally)
        if not found:
            return "the same counts, of answers and of products", False
        if min(found.values()) > 0 or time.monotonic() > until:
            break
        time.sleep(0.1)
    listed = ", ".join(f"{key} {count:+d}" for key, count in sorted(found.items()))
    if min(found.values()) < 0:
        return f"counts less than was answered ({listed}); behind a proxy it speaks for one replica", True
    return f"counts more, so others asked at the same time ({listed})", False


def summary(tally: Tally, seconds: float) -> list[str]:
    """Answers by status, rate, latencies, faults and products, for a terminal."""
    of, good, rate = tally.requests, tally.statuses["200"], tally.requests / max(seconds, 1e-9)
    lines = ["", f"{of} requests in {seconds:.1f} s ({rate:.1f} per second), {good} answered with 200"]
    lines += [f"  status    {count:8d}  {count / of:7.2%}  {status}" for status, count in tally.statuses.most_common()]
    ordered = sorted(tally.milliseconds)
    if ordered:
        parts = [f"p{share} {percentile(ordered, share):.1f} ms" for share in (50, 95, 99)]
        lines.append(f"  latency   {', '.join(parts)}, max {ordered[-1]:.1f} ms")
    lines += [f"  fault     {count:8d}  {count / of:7.2%}  {fault}" for fault, count in tally.faults.most_common(10)]
    lines += [f"  {status}       {REMEDY}" for status in ("401", "403") if tally.statuses[status]]
    lines += [f"  product   {count:8d}  {count / good:7.2%}  {name}" for name, count in tally.products.most_common()]
    return lines


def percentile(ordered: Sequence[float], share: int) -> float:
    """The least value that `share` percent of the values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, asks, prints the summary and returns the exit code."""
    options = read_options(arguments)
    connection, path = Connection(options.url, options.timeout, options.token), ROUTES[options.ask][1]
    try:
        connection.send("GET", "/healthz")
    except (OSError, http.client.HTTPException) as error:
        remedy = "Start the service (vitrina serve, or make up for the whole stack), or name another address: --url URL"
        print(f"Nothing answers on {options.url} ({error or type(error).__name__}).\n{remedy}", file=sys.stderr)
        return 1
    before = counted(connection, path)
    print(f"{options.requests} times {path} on {options.url}, {options.workers} at a time, seed {options.seed}")
    load, begun = Load(options), time.perf_counter()
    whole = load.run()
    print("\n".join(summary(load.tally, time.perf_counter() - begun)))
    told, missed = compared(connection, path, before, load.tally)
    print(f"  /metrics  {told}")
    return int(missed or load.tally.faults.total() > 0) if whole else INTERRUPTED


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends with code 2 and a sentence on bad input."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-n", "--requests", type=int, default=REQUESTS, metavar="N", help=f"how many ({REQUESTS})")
    made.add_argument("--url", "--host", default="http://127.0.0.1:8000", metavar="URL", help="address of the service")
    made.add_argument("--ask", choices=list(ROUTES), default="random", help="what is asked (random)")
    made.add_argument("--workers", type=int, default=WORKERS, metavar="N", help=f"requests at a time ({WORKERS})")
    made.add_argument("--seed", type=int, default=1, help="of the made-up clients (1)")
    made.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="patience with one request (10)")
    options = made.parse_args(arguments)
    options.token = os.environ.get("VITRINA_TOKEN", "").strip()  # no option: others may see those
    for name in ("requests", "workers", "timeout"):
        if not 0 < getattr(options, name) < math.inf:
            made.error(f"--{name} {getattr(options, name)}: give a number above 0")
    if options.workers > MOST_WORKERS:
        made.error(f"--workers {options.workers}: at most {MOST_WORKERS}")
    try:
        Connection(options.url, options.timeout, options.token)
    except ValueError as error:
        made.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
