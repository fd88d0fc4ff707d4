"""The tables of a run of visitors, and the sentences that say what is not as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Table
from benchmarks.visitors.plan import Shape

LATENCIES = ("p50 ms", "p95 ms", "p99 ms", "max ms")
TAIL = "drain"


def tables(found: dict[str, Any]) -> list[Table]:
    """Phases, kinds of requests, sources, counters of both sides, limits."""
    return [_phases(found), _kinds(found), _sources(found), _counters(found), _limits(found)]


def faults(found: dict[str, Any]) -> list[str]:
    """One sentence for each limit that was crossed and each counter on which the two sides disagree."""
    crossed = [f"{one['of']}: {one['limit']} was not kept" for one in found["limits"] if not one["kept"]]
    return crossed + [
        f"{one['what']}: the visitors counted {one['visitors']:,.0f}, the service {one['service']:,.0f}"
        for one in found["counters"]
        if not one["agrees"]
    ]


def _phases(found: dict[str, Any]) -> Table:
    world, shape, spent = found["world"], found["shape"], found["processor_seconds"]
    requests = Shape(**shape).requests
    rows = []
    for phase in found["phases"]:
        met = found["by_phase"][phase["name"]]
        begun = (phase["rate_from"] + phase["rate_to"]) / 2 / requests
        rows.append(
            (
                phase["name"],
                f"{phase['seconds']:.0f}",
                f"{begun:,.1f}",
                f"{met['count'] / phase['seconds']:,.0f}",
                f"{met['count']:,.0f}",
                *_latencies(met),
                f"{phase['p99_ms']:.0f}",
            )
        )
    tail = found["by_phase"][TAIL]
    if tail["count"]:
        rows.append((TAIL, "", "", "", f"{tail['count']:,.0f}", *_latencies(tail), ""))
    asked = (
        f"{found['visits']:,.0f} visits with {found['requests']:,.0f} requests, {found['workers']} worker(s), over "
        f"{world['world']}: {world['users']:,} users, {world['users_with_list']:,} with a list, {world['items']:,} "
        f"items, {world['trees']} trees. At most {found['most_visitors_at_once']:,.0f} visitors at once, "
        f"{found['dropped_visits']:,.0f} visits that k6 could not begin in time."
    )
    drawn = (
        f"The visitor at rank r of activity comes with weight r^-{shape['exponent']:g}; {shape['cold_share']:.0%} of "
        f"the visits are by unknown ids; {shape['views']:g} views a visit on average, {shape['pause_seconds']:g} s of "
        f"thought before each, {requests:.1f} requests a visit. A request counts for the phase in which it is sent, a "
        "visit goes on into the next; drain: the visits that were still on after the last phase."
    )
    cost = (
        f"Processor time: service {spent['service']:.1f} s ({1e6 * spent['service'] / found['requests']:,.0f} us per "
        f"request; {spent['by_its_own_metric']:.1f} s by its workers' own metric), k6 {spent['k6']:.1f} s."
    )
    columns = ("phase", "s", "visits/s", "req/s", "requests", *LATENCIES, "limit of p99")
    return Table(title="Phases", columns=columns, rows=tuple(rows), notes=(asked, drawn, cost))


def _kinds(found: dict[str, Any]) -> Table:
    rows = [
        (kind, f"{met['count']:,.0f}", f"{met['count'] / found['requests']:.1%}", *_latencies(met))
        for kind, met in found["by_kind"].items()
        if met["count"]
    ]
    note = (
        "landing: without a session; session: all views so far; exclude, filter: the same under rules; similar: "
        f"`GET /similar_items` of the viewed item ({found['lonely_items']:,.0f} of them have no similar item)."
    )
    columns = ("request", "requests", "share", *LATENCIES)
    return Table(title="Requests by kind", columns=columns, rows=tuple(rows), notes=(note,))


def _sources(found: dict[str, Any]) -> Table:
    total = max(1.0, sum(found["answers"].values()))
    rows = [
        (source, f"{found['planned'][source]:,.0f}", f"{count:,.0f}", f"{count / total:.1%}")
        for source, count in found["answers"].items()
        if count or found["planned"][source]
    ]
    stepped = ", ".join(f"{reason} {count:,.0f}" for reason, count in sorted(found["fallbacks"].items()) if count)
    notes = (f"Fallbacks by the service's own count: {stepped or 'none'}.",)
    return Table(
        title="Answers by source", columns=("source", "planned", "met", "share"), rows=tuple(rows), notes=notes
    )


def _counters(found: dict[str, Any]) -> Table:
    rows = [
        (one["what"], f"{one['visitors']:,.0f}", f"{one['service']:,.0f}", "yes" if one["agrees"] else "NO")
        for one in found["counters"]
    ]
    note = "k6 counts answers; the service's are the differences of its /metrics after and before the run."
    columns = ("count", "k6", "service", "equal")
    return Table(title="Counters of both sides", columns=columns, rows=tuple(rows), notes=(note,))


def _limits(found: dict[str, Any]) -> Table:
    rows = [(f"{one['of']} {one['limit']}", "yes" if one["kept"] else "NO") for one in found["limits"]]
    return Table(title="Limits", columns=("limit", "kept"), rows=tuple(rows))


def _latencies(met: dict[str, float]) -> Sequence[str]:
    return [f"{met[name]:.2f}" for name in ("med", "p(95)", "p(99)", "max")]
