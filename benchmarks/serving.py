"""Requests per second and latencies of the service beside a bare FastAPI route and `mlflow models serve`, in one run.

All are one worker under uvicorn with uvloop and httptools. The subjects take turns, a few seconds each, over several
rounds, so that a disturbance of the machine meets them alike; the median round counts. Afterwards each is asked at
half of its own most.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import asking
from benchmarks.asking import Ask
from benchmarks.load import Load, put_load
from benchmarks.results import Table
from benchmarks.servers import Server, running
from benchmarks.world import MODEL_NAME, ROOT, VITRINA, World, environment

BARE, PRECOMPUTED, ONLINE, COLD = "bare FastAPI", "precomputed", "session of 5", "cold users"
MLFLOW = "mlflow models serve"
OFF = {name: f"{name}, unmeasured" for name in (PRECOMPUTED, ONLINE, COLD)}
TARGETS = {PRECOMPUTED: 1.0, ONLINE: 0.5}
MEASURED_TARGET = 0.9
SERVE = (*VITRINA, "serve", "--port", "{port}")
QUIET = {"UVICORN_ACCESS_LOG": "false"}
P99_TARGET_MS = 10.0
READY_TARGET_SECONDS = 5.0
FAILED = re.compile(r'^vitrina_fallbacks_total\{reason="(source_failed)",scenario="storefront"\} (\S+)$', re.MULTILINE)
SPEED_COLUMNS = (
    "one worker",
    "req/s",
    "ratio",
    "target",
    "p50 ms",
    "p99 ms",
    "CPU us/req",
    "CPU ratio",
    "half: req/s",
    "half: p99 ms",
    "errors",
)
MEASURED_COLUMNS = (
    "metrics and logs",
    "on: req/s",
    "off: req/s",
    "on: ratio",
    "off: ratio",
    "on/off",
    "target",
    "on: CPU us/req",
    "off: CPU us/req",
    "CPU off/on",
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A server with what it is asked; `source` is where Vitrina's answers have to come from."""

    name: str
    server: Server
    asks: Sequence[Ask]
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One stretch of load with the processor time that the server spent on it."""

    load: Load
    processor_us: float


def run(world: World, scratch: Path, *, seconds: int, rounds: int, seed: int = 0) -> dict[str, Any]:
    """Measures every subject; the result is ready for JSON."""
    with started(world, scratch, np.random.default_rng(seed)) as (subjects, starts):
        shares = {one.name: asking.check(one.server, one.asks, one.source) for one in subjects}
        off = tuple(OFF.values())
        full, half = at_full_and_half_load(subjects, scratch, seconds=seconds, rounds=rounds, seed=seed, full_only=off)
        fallbacks = failures(subjects)
    return {
        "world": world.facts(),
        "settings": {
            "seconds": seconds,
            "rounds": rounds,
            "k": asking.K,
            "session": asking.SESSION,
            "pool": asking.POOL,
        },
        "subjects": {
            one.name: figures(full[one.name], half.get(one.name), shares[one.name], full[BARE]) for one in subjects
        },
        "measured": {on: beside(full[on], full[off]) for on, off in OFF.items()},
        "start_to_ready_seconds": starts,
        "failed_sources": fallbacks,
    }


@contextmanager
def started(world: World, scratch: Path, rng: np.random.Generator) -> Iterator[tuple[list[Subject], dict[str, float]]]:
    """All servers, running, and how long each took to become ready. Vitrina is started twice: from the registry, then
    from its copy.
    """
    env = with_registry(world.home)
    with ExitStack() as stack:

        def start(name: str, command: Sequence[str], ready: str, **more: str) -> Server:
            log = scratch / f"{name.replace(' ', '-')}.log"
            return stack.enter_context(running(command, ready=ready, env=env | more, cwd=ROOT, log=log))

        with running(SERVE, ready="/readyz", env=env, cwd=ROOT, log=scratch / "first.log") as first:
            starts = {"vitrina serve, first start": first.ready_seconds}
        vitrina = start("vitrina", SERVE, "/readyz")
        bare = start("bare", [sys.executable, "-m", "benchmarks.subjects", "bare", "{port}"], "/readyz")
        unmeasured = start(
            "unmeasured", [sys.executable, "-m", "benchmarks.subjects", "unmeasured", "{port}"], "/readyz"
        )
        mlflow = start("mlflow", mlflow_serves(f"models:/{MODEL_NAME}@champion"), "/ping", **QUIET)
        starts |= {
            "vitrina serve, later start": vitrina.ready_seconds,
            "bare FastAPI": bare.ready_seconds,
            MLFLOW: mlflow.ready_seconds,
        }
        known = asking.known(world, rng)
        asked = {
            PRECOMPUTED: (known, "precomputed"),
            ONLINE: (asking.sessions(world, rng), "session"),
            COLD: (asking.strangers(world, rng), "popular"),
        }
        both = [
            Subject(name=name, server=server, asks=asks, source=source)
            for on, (asks, source) in asked.items()
            for name, server in ((on, vitrina), (OFF[on], unmeasured))
        ]
        yield (
            [
                Subject(name=BARE, server=bare, asks=known),
                *both,
                Subject(name=MLFLOW, server=mlflow, asks=asking.invocations(world, rng)),
            ],
            starts,
        )


def with_registry(home: Path) -> dict[str, str]:
    """The environment of a server over the state folder `home`, whose registry MLflow finds too."""
    env = environment(home) | {"MLFLOW_TRACKING_URI": f"sqlite:///{(home / 'mlflow.db').absolute()}"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    return env


def mlflow_serves(model: str) -> list[str]:
    """The command that serves a model, by its address, with MLflow's own server and one worker."""
    of_model = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    return [*of_model, "--port", "{port}", "--workers", "1"]


def at_full_and_half_load(
    subjects: Sequence[Subject],
    scratch: Path,
    *,
    seconds: int,
    rounds: int,
    seed: int,
    full_only: Sequence[str] = (),
) -> tuple[dict[str, list[Stretch]], dict[str, Stretch]]:
    """Every subject warmed, then in turns under full load, and those not named in `full_only` under half of that."""
    pools = {one.name: asking.write_pool(one.asks, scratch / f"{place}.tsv") for place, one in enumerate(subjects)}
    for one in subjects:
        put_load(one.server.port, pools[one.name], seconds=1, seed=seed)
    full = in_turns(subjects, pools, seconds=seconds, rounds=rounds, seed=seed + 1)
    half = {
        one.name: stretch(one, pools[one.name], seconds=seconds, seed=seed, rate=median_rate(full[one.name]) / 2)
        for one in subjects
        if one.name not in full_only
    }
    return full, half


def in_turns(
    subjects: Sequence[Subject], pools: Mapping[str, Path], *, seconds: int, rounds: int, seed: int
) -> dict[str, list[Stretch]]:
    """Full load on each subject in every round, every other round backwards."""
    found: dict[str, list[Stretch]] = {one.name: [] for one in subjects}
    for turn in range(rounds):
        for one in subjects if turn % 2 == 0 else reversed(subjects):
            found[one.name].append(stretch(one, pools[one.name], seconds=seconds, seed=seed + turn))
    return found


def stretch(subject: Subject, pool: Path, *, seconds: int, seed: int, rate: float | None = None) -> Stretch:
    """Loads one subject for some seconds."""
    before = subject.server.processor_seconds()
    load = put_load(subject.server.port, pool, seconds=seconds, seed=seed, rate=rate)
    return Stretch(load=load, processor_us=1e6 * (subject.server.processor_seconds() - before) / max(1, load.requests))


def failures(subjects: Sequence[Subject]) -> dict[str, float]:
    """How often a source of Vitrina failed and another stepped in, by its own counters; it has to be never."""
    server = next(one.server for one in subjects if one.name == PRECOMPUTED)
    return {name: float(value) for name, value in FAILED.findall(server.get("/metrics").decode())}


def median_rate(stretches: Sequence[Stretch]) -> float:
    """Answers per second of the median round."""
    return statistics.median(one.load.rate for one in stretches)


def beside(on: Sequence[Stretch], off: Sequence[Stretch]) -> dict[str, float]:
    """What is left of the speed with metrics and logs on: medians over the rounds, of stretches next to each other."""
    pairs = list(zip(on, off, strict=True))
    return {
        "on_to_off": round(statistics.median(one.load.rate / other.load.rate for one, other in pairs), 4),
        "processor_off_to_on": round(
            statistics.median(other.processor_us / one.processor_us for one, other in pairs), 4
        ),
    }


def figures(
    full: Sequence[Stretch], half: Stretch | None, sources: dict[str, float], bare: Sequence[Stretch]
) -> dict[str, Any]:
    """One subject's medians over the rounds, beside the bare endpoint's."""

    halves = [] if half is None else [half]

    def median(of: Sequence[float]) -> float:
        return round(statistics.median(of), 3)

    return {
        "requests_per_second": median([one.load.rate for one in full]),
        "ratio_to_bare": round(median_rate(full) / median_rate(bare), 4),
        "p50_ms": median([one.load.p50 for one in full]),
        "p99_ms": median([one.load.p99 for one in full]),
        "errors": sum(one.load.errors for one in (*full, *halves)),
        "requests": sum(one.load.requests for one in (*full, *halves)),
        "processor_us_per_request": median([one.processor_us for one in full]),
        "processor_ratio_to_bare": round(
            statistics.median(one.processor_us for one in bare) / statistics.median(one.processor_us for one in full), 4
        ),
        "half_load": None
        if half is None
        else {"requests_per_second": round(half.load.rate, 1), "p50_ms": half.load.p50, "p99_ms": half.load.p99},
        "sources": sources,
        "rounds": [{**asdict(one.load), "processor_us": one.processor_us} for one in full],
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """The tables that are printed and stored."""
    world, settings = found["world"], found["settings"]
    rows = tuple(
        speed_row(name, one, TARGETS.get(name)) for name, one in found["subjects"].items() if name not in OFF.values()
    )
    online, peer = (found["subjects"][name]["requests_per_second"] for name in (ONLINE, MLFLOW))
    asked = (
        f"Asked on {world['world']}: {world['users']:,} users, {world['users_with_list']:,} with a list, "
        f"{world['items']:,} items, {world['trees']} trees; k={settings['k']}. Each row: the median of "
        f"{settings['rounds']} rounds of {settings['seconds']} s in turn, 16 connections, up to {settings['pool']:,} "
        "distinct requests. CPU: processor time of the server alone, which other work hardly touches."
    )
    compared = f"A session is ranked {online / peer:,.0f} times as fast as by `mlflow models serve` of the same model."
    failed = f"Sources that failed and were stepped around: {sum(found['failed_sources'].values()):.0f}."
    speed = Table(
        title="Serving",
        columns=SPEED_COLUMNS,
        rows=rows,
        notes=(asked, compared, failed, f"Target of p99 at half load: at most {P99_TARGET_MS:.0f} ms."),
    )
    ready = Table(
        title="Start to ready",
        columns=("server", "seconds", "target"),
        rows=tuple(
            (name, f"{value:.1f}", f"{READY_TARGET_SECONDS:.0f}" if name.startswith("vitrina") else "")
            for name, value in found["start_to_ready_seconds"].items()
        ),
        notes=("From the start of the process to the first 200 of its readiness route.",),
    )
    return [speed, _measured_table(found), ready]


def speed_row(name: str, one: dict[str, Any], target: float | None) -> tuple[str, ...]:
    """What `figures` gave for one subject, as a row under SPEED_COLUMNS."""
    half = one["half_load"]
    return (
        name,
        f"{one['requests_per_second']:,.0f}",
        _ratio(one["ratio_to_bare"]),
        "" if target is None else f"{target:.1f}",
        f"{one['p50_ms']:.2f}",
        f"{one['p99_ms']:.2f}",
        f"{one['processor_us_per_request']:,.0f}",
        _ratio(one["processor_ratio_to_bare"]),
        f"{half['requests_per_second']:,.0f}",
        f"{half['p99_ms']:.2f}",
        f"{one['errors']:,}",
    )


def _measured_table(found: dict[str, Any]) -> Table:
    rows = []
    for name, ratios in found["measured"].items():
        on, off = found["subjects"][name], found["subjects"][OFF[name]]
        rows.append(
            (
                name,
                f"{on['requests_per_second']:,.0f}",
                f"{off['requests_per_second']:,.0f}",
                _ratio(on["ratio_to_bare"]),
                _ratio(off["ratio_to_bare"]),
                f"{ratios['on_to_off']:.2f}",
                f"{MEASURED_TARGET:.2f}",
                f"{on['processor_us_per_request']:,.1f}",
                f"{off['processor_us_per_request']:,.1f}",
                f"{ratios['processor_off_to_on']:.2f}",
            )
        )
    note = (
        "On: `vitrina serve` as it is. Off: the same without counters, request ids and log lines. Ratio: to bare "
        "FastAPI. on/off and CPU off/on: medians over the rounds, of stretches next to each other; 1 is free of cost."
    )
    return Table(
        title="Metrics and logs, on and off",
        columns=MEASURED_COLUMNS,
        rows=tuple(rows),
        notes=(note,),
    )


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def remember(home: Path, told: str) -> None:
    """Leaves a word on what a home was trained on, for later runs with the same home."""
    (home / "benchmark.json").write_text(json.dumps({"world": told}), encoding="utf-8")
