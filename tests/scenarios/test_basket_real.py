"""The scenario of carts from the command line: the sales of Online Retail end to end, and files that cannot be used."""

from __future__ import annotations

import gzip
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vitrina.cli import main
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets
from vitrina.registry.mlflow_registry import MlflowRegistry

Vitrina = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setenv("VITRINA_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def vitrina(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vitrina:
    """Runs the command line; exit code, standard output and error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vitrina", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capfd.readouterr())

    return call


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_sales_of_a_real_shop(data_dir: Path, vitrina: Vitrina, home: Path) -> None:
    code, out, err = vitrina("train", "basket", "--data", data_dir / "online-retail" / "OnlineRetail.csv.gz")
    assert code == 0, err
    assert "champion: version 1" in out and "| popular |" in out and "| item_knn |" in out
    assert "lines dropped: cancellations" in err and "companions: " in err
    code, out, _ = vitrina("evaluate", "basket", "--json")
    table: dict[str, Any] = json.loads(out)
    assert set(table["models"]) == {"candidate", "popular", "item_knn"}
    candidate, knn = table["models"]["candidate"], table["models"]["item_knn"]
    assert candidate["hr@10"]["mean"] > 0.36 and candidate["ndcg@10"]["mean"] > 0.22
    assert candidate["ndcg@10 over popular"]["low"] > 0.1
    assert candidate["ndcg@10"]["low"] > knn["ndcg@10"]["mean"]
    assert candidate["calibration_error"] <= 0.02
    assert len(list(home.glob("mlartifacts/*/artifacts/data/sample.csv"))) == 1

    code, out, _ = vitrina("recommend", "basket", "--cart", "22386,85099B", "--n", "5", "--json")
    answer = json.loads(out)
    assert code == 0 and all("JUMBO" in title for title in answer["titles"][:3])
    assert answer["scores"] == sorted(answer["scores"], reverse=True) and 0.1 < answer["scores"][0] < 0.4
    code, out, err = vitrina("recommend", "basket", "--cart", "no such product", "--n", "5")
    assert code == 0 and "popular" in out and "does not know no such product" in err


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated shop's sales."""
    folder = tmp_path_factory.mktemp("shop")
    generate_baskets(BasketSpec(baskets=400, products=40, customers=60, months=4), folder)
    return folder / SALES_FILE


@pytest.fixture
def champion(vitrina: Vitrina, sales: Path) -> Path:
    """`sales`, from which a champion has learned."""
    code, _, err = vitrina("train", "basket", "--data", sales, "--recipe", "ease", "--force")
    assert code == 0, err
    return sales


def unusable(folder: Path, sales: Path) -> dict[str, tuple[Path, str]]:
    """Files that cannot be trained on, and what has to be said of each."""
    lines = sales.read_text().splitlines()
    found = {}

    def put(name: str, content: bytes, says: str) -> None:
        (folder / name).write_bytes(content)
        found[name] = (folder / name, says)

    header = lines[0]
    put("nameless.csv", "\n".join([header.replace("StockCode", "Thing"), *lines[1:]]).encode(), "StockCode")
    put("empty.csv", b"", "empty")
    put("header.csv", header.encode(), "no lines")
    put("sales.pdf", b"%PDF-1.7", ".pdf")
    put("workbook.xlsx", b"this was an xlsx once", "workbook.xlsx")
    put("half.csv.gz", gzip.compress(sales.read_bytes())[:-200], "half.csv.gz")
    found["nowhere.csv"] = (folder / "nowhere.csv", "nowhere.csv")
    return found


def test_sales_that_cannot_be_used_are_named_and_the_present_model_stays(
    vitrina: Vitrina, champion: Path, home: Path, tmp_path: Path
) -> None:
    registry = MlflowRegistry(f"sqlite:///{home}/mlflow.db", experiment="basket", model_name="basket")
    before = registry.champion(), registry.versions()
    evaluation = (home / "objects" / "basket" / "evaluation").resolve()
    for name, (path, says) in unusable(tmp_path, champion).items():
        code, _, err = vitrina("train", "basket", "--data", path)
        last = err.splitlines()[-1]
        assert code == 2 and last.startswith("error: ") and says in last and str(path) in last, (name, err)
    assert (registry.champion(), registry.versions()) == before
    assert (home / "objects" / "basket" / "evaluation").resolve() == evaluation
    code, out, _ = vitrina("recommend", "basket", "--json")
    assert code == 0 and json.loads(out)["model_version"] == "1"


def test_a_challenger_is_trained_beside_and_promoted_later(vitrina: Vitrina, champion: Path, tmp_path: Path) -> None:
    generate_baskets(BasketSpec(baskets=400, products=40, customers=60, months=4, seed=1), tmp_path / "next")
    asked = ("train", "basket", "--data", tmp_path / "next" / SALES_FILE, "--recipe", "ease", "--challenger", "--force")
    code, out, err = vitrina(*asked)
    assert code == 0, err
    assert "champion: version 1\nchallenger: version 2, vitrina promote basket makes it champion" in out
    assert vitrina("promote", "basket", "--json")[:2] == (0, '{"champion": "2"}\n')
    code, out, _ = vitrina("promote", "basket", "--json")
    assert code == 1 and "no challenger" in out
    assert vitrina(*asked)[0] == 0
    assert vitrina("promote", "basket", "--json")[:2] == (0, '{"champion": "2"}\n'), "the same model once more"
    assert vitrina("rollback", "basket", "--json")[:2] == (0, '{"champion": "1"}\n')


def test_columns_that_are_called_otherwise(vitrina: Vitrina, sales: Path, tmp_path: Path) -> None:
    header, *lines = sales.read_text().splitlines()
    renamed = header.replace("InvoiceNo", "order_id").replace("StockCode", "sku")
    other = tmp_path / "other.csv"
    other.write_text("\n".join([renamed, *lines]) + "\n")
    asked = ("step", "basket", "extract", "--data", other, "--columns", "InvoiceNo=order_id,StockCode=sku")
    assert vitrina(*asked)[0] == 0
    code, out, err = vitrina("step", "basket", "validate", "--json")
    assert code == 0, err
    assert json.loads(out)["baskets"] == 400
    code, out, _ = vitrina("step", "basket", "extract", "--data", other, "--columns", "basket=order_id", "--json")
    assert code == 2 and "InvoiceNo, StockCode" in json.loads(out)["error"]["reason"]
