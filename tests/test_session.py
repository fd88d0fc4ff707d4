"""A small shop from the first command to the second model, in a copy of the repository: set up, accounts, training,
serving, and new models with and without a restart."""

from __future__ import annotations

import csv
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openpyxl import Workbook
from ports import free_port
from waiting import PATIENCE, wait

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "7 'dollars' $$ and $HOME"
ACCOUNT = ("USER_NAME=ann", f"PASSWORD={PASSWORD}", 'FULL_NAME=Анна "J."', "EMAIL=ann@shop.example")
AUTUMN = "2011-08-01"
SHOPPERS = 2


class Repository:
    """A copy of the repository, in which make is called as the guide says."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "VITRINA_"))}
        self.environment = {**inherited, "PORT": str(port), "PYTHON": sys.executable, "COLUMNS": "200"}
        for path in _files_of_the_repository():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)

    def make(self, *arguments: str, code: int = 0) -> str:
        """What it says, on either output; neither is held open by a server that it leaves running."""
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def packages(self) -> None:
        """Makes the environment, which finds the packages of this one, so that they need not be fetched again."""
        self.make(".venv/bin/python")
        (folder,) = (self.folder / ".venv" / "lib").glob("python*/site-packages")
        (folder / "found-beside.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def served(self) -> str | None:
        """The version of the model that answers."""
        try:
            answer = httpx.get(f"{self.url}/readyz")
        except httpx.TransportError:
            return None
        return answer.json()["models"].get("basket") if answer.status_code == 200 else None

    def workers(self, version: str) -> int:
        """How many of them serve this model."""
        told = re.search(
            rf'^vitrina_model_info{{scenario="basket",version="{version}"}} (\d+)',
            httpx.get(f"{self.url}/metrics").text,
            re.M,
        )
        return int(told[1]) if told else 0

    def said(self) -> str:
        """What `make run` has printed."""
        return (self.folder / "run.log").read_text()

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """`make run`, in a process group of its own, as a terminal gives it one."""
        log = (self.folder / "run.log").open("w")
        command = subprocess.Popen(
            ["make", "run"], cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield command
        finally:
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGKILL)
            command.wait()
            log.close()


def _files_of_the_repository() -> list[Path]:
    """Relative paths: what is tracked or new, and the compiled kernels beside it."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts]
    compiled = [path.relative_to(ROOT) for top in ("vitrina", "app") for path in (ROOT / top).rglob("*.nb[ic]")]
    return [*(Path(name) for name in names if name and (ROOT / name).is_file()), *compiled]


class Shoppers:
    """Carts that are asked about again and again, until `done` is set; each answer is counted."""

    def __init__(self, url: str, token: str) -> None:
        self.seen: Counter[tuple[int, str]] = Counter()
        self.odd: list[str] = []
        self.done = threading.Event()
        self._url, self._headers = url, {"authorization": f"Bearer {token}"}
        self._threads = [threading.Thread(target=self._ask) for _ in range(SHOPPERS)]

    def __enter__(self) -> Shoppers:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for one in self._threads:
            one.join(timeout=PATIENCE)

    def _ask(self) -> None:
        carts = (["85123A"], ["22423", "47566"], ["20725", "20727", "22383"])
        with httpx.Client(base_url=self._url, headers=self._headers) as client:
            while not self.done.is_set():
                cart = carts[sum(self.seen.values()) % len(carts)]
                try:
                    answer = client.post("/send_data", json={"product_list": cart, "n": 7})
                    found = answer.json().get("result", {})
                    recommended = [code for code, _, _ in found.get("recommendation", ())]
                    self.seen[answer.status_code, str(found.get("model_version"))] += 1
                    if len(set(recommended) - set(cart)) != 7:
                        self.odd.append(answer.text)
                except httpx.HTTPError as error:
                    self.odd.append(repr(error))
                time.sleep(0.02)


def sales(path: Path, chosen: Callable[[int], bool]) -> Iterator[dict[str, str]]:
    """The lines of the autumn whose invoice is chosen by its number."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = row["InvoiceNo"]
            if row["InvoiceDate"] >= AUTUMN and number.isdigit() and chosen(int(number)):
                yield row


def write_workbook(path: Path, rows: Iterator[dict[str, str]]) -> None:
    """As a spreadsheet keeps them: dates, and numbers wherever a text looks like one."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Online Retail")
    columns = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID")
    sheet.append(columns)
    for row in rows:
        sheet.append([cell(name, row[name]) for name in columns])
    book.save(path)


def cell(column: str, text: str) -> Any:
    if column == "InvoiceDate":
        return datetime.fromisoformat(text)
    if column == "Description" or not text.replace(".", "", 1).isdigit():
        return text or None
    return float(text)


def write_csv(path: Path, rows: Iterator[dict[str, str]]) -> None:
    columns = ("InvoiceNo", "StockCode", "Description", "CustomerID", "InvoiceDate", "Quantity")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def sign_in(url: str) -> str:
    answer = httpx.post(f"{url}/token", data={"username": "ann", "password": PASSWORD})
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")
    token: str = answer.json()["access_token"]
    return token


def companions(url: str, token: str) -> dict[str, Any]:
    headers, body = {"authorization": f"Bearer {token}"}, {"product_list": ["85123A"], "n": 7}
    answer = httpx.post(f"{url}/send_data", headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    for needed in ("make", "git"):
        if shutil.which(needed) is None:
            pytest.skip(f"NO {needed.upper()}: the command is not installed")
    made = Repository(tmp_path / "vitrina", free_port())
    yield made
    if (made.folder / ".venv" / ".for-use").exists():
        made.make("kill")


def test_the_session_of_a_shop(repository: Repository, data_dir: Path, tmp_path: Path) -> None:
    make, url = repository.make, repository.url
    log = data_dir / "online-retail" / "OnlineRetail.csv.gz"

    repository.packages()
    assert "Ready" in make("devel")
    make("add_user", *ACCOUNT)
    told = make("train", f"PATH_TO_DATA={log}")
    assert "champion: version 1" in told
    assert "PATH_TO_DATA is missing" in make("train", code=2)

    with repository.running() as command:
        wait(lambda: repository.served() == "1", otherwise=repository.said)
        os.killpg(command.pid, signal.SIGINT)  # Ctrl-C
        command.wait(timeout=PATIENCE)
        assert [one for one in psutil.pids() if session(one) == command.pid] == [], repository.said()
    assert "Traceback" not in repository.said()

    assert f"Serving basket (version 1) on {url}" in make("run-prod")
    assert "runs already" in make("run-prod", code=2)
    token = sign_in(url)
    for path in ("/users/me", "/users/me/"):
        me = httpx.get(url + path, headers={"authorization": f"Bearer {token}"})
        assert me.json() == {"username": "ann", "email": "ann@shop.example", "full_name": 'Анна "J."'}
    assert httpx.post(f"{url}/send_data", json={"product_list": ["85123A"], "n": 7}).status_code == 401
    first = companions(url, token)
    assert first["recommendation"][0][:2] == ["21733", "RED HANGING HEART T-LIGHT HOLDER"]
    assert all(0 < confidence < 1 for _, _, confidence in first["recommendation"])

    # A second model, by way of a restart.
    write_workbook(tmp_path / "orders 2011.xlsx", sales(log, lambda number: number % 2 == 0))
    told = make("train_parallel", f"PATH_TO_DATA={tmp_path / 'orders 2011.xlsx'}")
    assert "champion: version 1" in told and "challenger: version 2" in told
    assert repository.served() == "1"
    assert "is ended" in make("kill")
    assert repository.served() is None
    make("load_after_parallel_train")
    make("run-prod")
    wait(lambda: repository.workers("2") == 2)  # a slow machine may answer with the model of before at first
    assert companions(url, token)["model_version"] == "2"

    # A third one beside the running server, which never stops answering.
    write_csv(tmp_path / "orders.csv", sales(log, lambda number: number % 2 == 1))
    with Shoppers(url, token) as shoppers:
        told = make("train_parallel", f"PATH_TO_DATA={tmp_path / 'orders.csv'}", "ARGS=--recipe blend")
        assert "challenger: version 3" in told
        assert repository.served() == "2"
        make("load_after_parallel_train")
        wait(lambda: shoppers.seen[200, "3"] >= 50, otherwise=lambda: str(shoppers.seen))
    assert shoppers.odd == []
    assert set(shoppers.seen) == {(200, "2"), (200, "3")}

    make("del_user", "USER_NAME=ann")
    wait(lambda: httpx.get(f"{url}/users/me", headers={"authorization": f"Bearer {token}"}).status_code == 401)
    assert "is ended" in make("kill")
    assert "no server runs" in make("kill")
    written = (repository.folder / ".vitrina" / "server" / "server.log").read_text()
    assert token not in written and PASSWORD not in written


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1
