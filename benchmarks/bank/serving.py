"""Requests per second and latencies of /predict beside `mlflow models serve`, in one run on the same clients: of the
same champion, and of a scikit-learn pipeline as it is logged by hand, with a classifier per product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from benchmarks.asking import CHECKED
from benchmarks.bank import clients
from benchmarks.bank.training import generated
from benchmarks.results import Table
from benchmarks.servers import Server, running
from benchmarks.serving import (
    P99_TARGET_MS,
    QUIET,
    SERVE,
    Stretch,
    Subject,
    at_full_and_half_load,
    mlflow_serves,
    with_registry,
)
from benchmarks.training import train_into
from benchmarks.world import ROOT
from vitrina.engine import LocalEngine
from vitrina.errors import NoChampionError
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.multi_output_propensity import FittedMultiOutput
from vitrina.ranking.propensity_rows import propensity_rows
from vitrina.recommend.propensity_model import PropensityModel
from vitrina.registry.model_format import read_model
from vitrina.registry.reader import reader_for
from vitrina.scenarios.bank_recipes import RECIPES
from vitrina.storage.objects import FolderObjects

MODEL_NAME: Final = "bank_products"
PLAIN, LAGGED = "/predict", "/predict, 6 history rows"
MLFLOW, MLFLOW_LAGGED = "mlflow models serve", "mlflow models serve, 6 history rows"
PIPELINE = "mlflow models serve, scikit-learn pipeline"
PEER_OF: Final = {PLAIN: MLFLOW, LAGGED: MLFLOW_LAGGED}
TRAINED_ROWS: Final = 200_000
COLUMNS: Final = (
    *("one worker", "req/s", "ratio", "p50 ms", "p99 ms", "CPU us/req"),
    *("half: req/s", "half: p99 ms", "errors"),
)


def run(
    home: Path, scratch: Path, *, seconds: int, rounds: int, note: Callable[[str], None], seed: int = 0
) -> dict[str, Any]:
    """Measures every subject on the champion of `home`, which is trained first when it holds none; ready for JSON."""
    if not (home / "mlflow.db").exists():
        note(f"Training on a generated panel of about {TRAINED_ROWS:,} rows")
        train_into(home, "bank_products", generated(TRAINED_ROWS, scratch))
    model = champion(home, scratch)
    note("Fitting the scikit-learn pipeline")
    pipeline = reference(home, scratch / "pipeline")
    note("Starting the servers")
    with started(home, model, scratch, np.random.default_rng(seed)) as subjects:
        full, half = at_full_and_half_load(subjects, scratch, seconds=seconds, rounds=rounds, seed=seed)
    return {
        "champion": {"kind": model.kind, "trees": trees_of(model)},
        "classifiers": len(pipeline.learned),
        "settings": {"seconds": seconds, "rounds": rounds, "clients": clients.POOL},
        "subjects": {one.name: figures(full[one.name], half[one.name]) for one in subjects},
    }


def champion(home: Path, scratch: Path) -> PropensityModel:
    """The model that the servers serve, opened beside them. `NoChampionError` when there is none."""
    reader = reader_for(f"sqlite:///{(home / 'mlflow.db').absolute()}", MODEL_NAME)
    found = reader.champion()
    if found is None:
        raise NoChampionError(f"{home} has no champion. Train one: vitrina train bank_products --data FOLDER")
    reader.fetch(found.version, scratch / "model")
    return PropensityModel.load(read_model(scratch / "model"))


def reference(home: Path, out: Path) -> FittedMultiOutput:
    """The scenario's classifier per product fitted to the home's panel, and its pipeline written into the folder `out`
    as `mlflow.sklearn` keeps it: client rows in, 0 or 1 for each learned product out.
    """
    import mlflow.sklearn

    with LocalEngine() as engine:
        panel = Panel.open(FolderObjects(home / "objects").local("bank_products/validated"), engine)
    until = int(panel.month.max()) - 1
    encoding = ProfileEncoding.fit(panel, np.arange(len(panel)))
    train_on, valid = propensity_rows(panel, encoding, last=until - 1), propensity_rows(panel, encoding, until, until)
    fitted = RECIPES["multi_output"]["multi_output"].fit(train_on, valid, threads=psutil.cpu_count() or 1)
    assert isinstance(fitted, FittedMultiOutput)
    mlflow.sklearn.save_model(
        fitted.whole_pipeline(encoding), str(out), serialization_format="cloudpickle", pip_requirements=[]
    )
    return fitted


@contextmanager
def started(home: Path, model: PropensityModel, scratch: Path, rng: np.random.Generator) -> Iterator[list[Subject]]:
    """All subjects; those that answer with the champion were seen to answer as it does here."""
    env = with_registry(home)
    plain, lagged = (clients.clients(model, rng, history=history) for history in (False, True))
    with ExitStack() as stack:

        def start(name: str, command: Sequence[str], ready: str, **more: str) -> Server:
            log = scratch / f"{name}.log"
            return stack.enter_context(running(command, ready=ready, env=env | more, cwd=ROOT, log=log))

        vitrina = start("vitrina", SERVE, "/readyz")
        mlflow = start("mlflow", mlflow_serves(f"models:/{MODEL_NAME}@champion"), "/ping", **QUIET)
        pipeline = start("pipeline", mlflow_serves(str(scratch / "pipeline")), "/ping", **QUIET)
        for documents in (plain, lagged):
            answers = [clients.said(model, one) for one in documents[:CHECKED]]
            clients.check(vitrina, clients.predict(documents), [decided for _, decided in answers])
            clients.check(mlflow, clients.invocations(documents), [probabilities for probabilities, _ in answers])
        yield [
            Subject(name=PLAIN, server=vitrina, asks=clients.predict(plain)),
            Subject(name=LAGGED, server=vitrina, asks=clients.predict(lagged)),
            Subject(name=MLFLOW, server=mlflow, asks=clients.invocations(plain)),
            Subject(name=MLFLOW_LAGGED, server=mlflow, asks=clients.invocations(lagged)),
            Subject(name=PIPELINE, server=pipeline, asks=clients.invocations(plain)),
        ]


def trees_of(model: PropensityModel) -> int:
    """How many trees the champion has."""
    trees = getattr(model.propensity, "trees", None)
    return 0 if trees is None else len(trees.split_start) - 1


def figures(full: Sequence[Stretch], half: Stretch) -> dict[str, Any]:
    """One subject's medians over the rounds."""

    def median(values: Sequence[float]) -> float:
        return round(float(np.median(values)), 3)

    return {
        "requests_per_second": median([one.load.rate for one in full]),
        "p50_ms": median([one.load.p50 for one in full]),
        "p99_ms": median([one.load.p99 for one in full]),
        "processor_us_per_request": median([one.processor_us for one in full]),
        "errors": sum(one.load.errors for one in (*full, half)),
        "half_load": {"requests_per_second": round(half.load.rate, 1), "p99_ms": half.load.p99},
        "rounds": [{**asdict(one.load), "processor_us": one.processor_us} for one in full],
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """One table of all subjects."""
    subjects, settings = found["subjects"], found["settings"]
    peer = subjects[MLFLOW]["requests_per_second"]
    rows = tuple(
        (
            name,
            f"{one['requests_per_second']:,.0f}",
            f"{one['requests_per_second'] / peer:,.2f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['processor_us_per_request']:,.0f}",
            f"{one['half_load']['requests_per_second']:,.0f}",
            f"{one['half_load']['p99_ms']:.2f}",
            f"{one['errors']:,}",
        )
        for name, one in subjects.items()
    )
    faster = {
        name: subjects[name]["requests_per_second"] / subjects[of]["requests_per_second"]
        for name, of in PEER_OF.items()
    }
    kind, trees = found["champion"]["kind"], found["champion"]["trees"]
    asked = (
        f"One worker each, {settings['clients']:,} made-up clients. The champion is of kind {kind} with {trees} trees; "
        f"the pipeline has {found['classifiers']} classifiers. Each row: the median of {settings['rounds']} rounds of "
        f"{settings['seconds']} s in turn, 16 connections. Ratio: to {MLFLOW} of the champion without history rows."
    )
    compared = (
        f"/predict is {faster[PLAIN]:,.0f} times as fast as `{MLFLOW}` of the same champion, with history rows "
        f"{faster[LAGGED]:,.0f} times. Target of p99 at half load: at most {P99_TARGET_MS:.0f} ms."
    )
    return [Table(title="Serving", columns=COLUMNS, rows=rows, notes=(asked, compared))]
