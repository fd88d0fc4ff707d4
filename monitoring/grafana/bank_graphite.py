"""Dashboard of the bank's products on Graphite: the same facts under the names that the service sends."""

from __future__ import annotations

from .bank import BANK, SWAPS
from .board import Board, Row, Text
from .panels import Query, Series, bars_panel, lines_panel, stat_panel
from .queries import ALERTS, REPLICA

WHAT = "bank-products-in-graphite"
STEP = "10s"  # what the service sends at
PREFIX = Text("prefix", "VITRINA_GRAPHITE_PREFIX with a dot behind it; bank.*. is all hosts")


def one(aggregate: str, name: str) -> str:
    """A single series of those of all replicas."""
    return f"{aggregate}(${{prefix}}{name})"


def each(name: str, change: str) -> str:
    """What a function makes of each series under a name, called by its last node, all replicas' added up."""
    return f"groupByNode({change}(${{prefix}}{name}.*), -1, 'sum')"


def called(name: str, series: str) -> Series:
    return Series(f"alias({series}, '{name}')")


REQUESTS = "sumSeries(perSecond(${prefix}bank-rs.requests))"
PRESENT = Row(
    "Is it well?",
    [
        stat_panel(
            "Requests",
            called("requests", REQUESTS),
            "Requests per second of /predict, /predict_proba and /random. Normal: what the callers have planned.",
            unit="reqps",
            anchor=WHAT,
        ),
        stat_panel(
            "Response time",
            called("mean", one("averageSeries", "response_time")),
            "Mean of the last ten seconds with a request. Normal: some ms.",
            unit="ms",
            anchor=WHAT,
            limits=[(50, "orange"), (100, "red")],
            nothing="no requests",
        ),
        stat_panel(
            "Requests so far",
            called("requests", one("sumSeries", "bank-rs.requests")),
            "Answered since the service was started.",
            unit="short",
            anchor=WHAT,
            base="blue",
        ),
        stat_panel(
            "Processor",
            called("machine", one("maxSeries", "bank-rs.system.cpu_load")),
            "Processors in use on the busiest machine, in percent of all of them. Normal: under 80.",
            unit="percent",
            anchor=WHAT,
            limits=[(80, "orange"), (95, "red")],
        ),
        stat_panel(
            "Free memory",
            called("machine", one("minSeries", "bank-rs.system.memory_free_mb")),
            "What a process could still have on the fullest machine. Normal: over a fifth of it.",
            unit="mbytes",
            anchor=WHAT,
            base="blue",
        ),
        stat_panel(
            "Up for",
            called("youngest", one("minSeries", "bank-rs.system.up_time")),
            "Age of the oldest worker, of the youngest replica. Normal: since the last release.",
            unit="s",
            anchor=WHAT,
            base="blue",
        ),
        stat_panel(
            "Model",
            Query(f"max by (version) (vitrina_model_info{{{BANK}}} > 0)", "v{{version}}"),
            "Version in the registry, which Prometheus knows; Graphite is told numbers only.",
            unit="none",
            anchor="modelnotserved",
            show_name=True,
            nothing="no model",
        ),
        stat_panel(
            "Positive answers so far",
            called("all products", one("sumSeries", "target.*")),
            "Products that /predict and /random answered with 1 since the service was started.",
            unit="short",
            anchor=WHAT,
            base="blue",
        ),
    ],
)

PRODUCTS = Row(
    "What clients are said to take",
    [
        bars_panel(
            "Positive answers by product",
            Series(f"sortByMaxima({each('target', 'keepLastValue')})"),
            "How often /predict and /random answered 1 since the service was started. Normal: direct debit, salary, "
            "pension and credit card first.",
            unit="short",
            anchor=WHAT,
            width=12,
            height=18,
            base="blue",
        ),
        lines_panel(
            "Positive answers over time, shares",
            [Series(f"maximumAbove({each('target', 'nonNegativeDerivative')}, 0)")],
            "Which products the answers of the time name. Normal: level; a break at a blue mark is the new model's.",
            unit="none",
            anchor=WHAT,
            width=12,
            height=18,
            stack="percent",
            per="1m",
        ),
    ],
)

TRAFFIC = Row(
    "Requests and how they are answered",
    [
        lines_panel(
            "Requests over time",
            [called("requests", REQUESTS)],
            "Normal: what the callers have planned.",
            unit="reqps",
            anchor=WHAT,
            width=6,
            per=STEP,
        ),
        lines_panel(
            "Response time over time",
            [
                called("mean of the replicas", one("averageSeries", "response_time")),
                called("slowest replica", one("maxSeries", "response_time")),
            ],
            "Means of ten seconds each, so a few slow answers hardly show: for those see p99 on the other dashboard.",
            unit="ms",
            anchor=WHAT,
            width=6,
            per=STEP,
        ),
        lines_panel(
            "Answers by status",
            [Series(each("response_code", "perSecond"))],
            "Normal: 200 alone. 422: a caller names a column wrongly; 503: no model.",
            unit="reqps",
            anchor=WHAT,
            width=6,
            colors={"200": "green", "422": "orange", "500": "red", "503": "red"},
            stack="normal",
            per=STEP,
        ),
        lines_panel(
            "Positive answers per second",
            [called("all products", "sumSeries(perSecond(${prefix}target.*))")],
            "Normal: follows the requests. Falls alone: see NothingPredicted.",
            unit="none",
            anchor="nothingpredicted",
            width=6,
            per=STEP,
        ),
    ],
)

MACHINE = Row(
    "Machine",
    [
        lines_panel(
            "Processor over time",
            [called("busiest machine", one("maxSeries", "bank-rs.system.cpu_load"))],
            "Percent of the machine's processors in use, by whatever runs there. Normal: under 80.",
            unit="percent",
            anchor=WHAT,
            most=100,
            per=STEP,
        ),
        lines_panel(
            "Free memory over time",
            [called("fullest machine", one("minSeries", "bank-rs.system.memory_free_mb"))],
            "Memory of the machine that a process could still have. Normal: over a fifth of it.",
            unit="mbytes",
            anchor=WHAT,
            per=STEP,
        ),
        lines_panel(
            "Up time",
            [called("youngest replica", one("minSeries", "bank-rs.system.up_time"))],
            "Normal: a line that rises; a fall to 0 is a restart of the service.",
            unit="s",
            anchor=WHAT,
            per=STEP,
        ),
    ],
)

BANK_GRAPHITE = Board(
    name="bank-graphite",
    title="Vitrina: bank products (Graphite)",
    about="Requests, response time and predicted products as the service sends them to Graphite.",
    variables=[REPLICA, PREFIX],
    marks=[ALERTS, SWAPS],
    rows=[PRESENT, PRODUCTS, TRAFFIC, MACHINE],
    since="now-3h",
    refresh="30s",
)
