"""Dashboard of the bank's products: what is predicted, how fast it is answered, by which model, on which machine."""

from __future__ import annotations

from .board import Board, Mark, Row
from .panels import Query, bars_panel, lines_panel, stat_panel
from .queries import ALERTS, REPLICA, or_none, quantile, share

WHAT = "service"  # the heading of docs/monitor.md that explains these metrics
BANK = 'scenario="bank_products", instance=~"$replica"'
ROUTES = 'route=~"/predict|/predict_proba|/random", instance=~"$replica"'
COUNTED = 'route=~"/predict|/random", status="200", instance=~"$replica"'
LATENCY = "vitrina_http_request_duration_seconds"

SWAPS = Mark(
    "Swaps of the model",
    'max(vitrina_model_loaded_timestamp_seconds{scenario="bank_products"}) * 1000',
    "New model",
    "bank_products",
    "blue",
    of_value=True,
)


def rate(metric: str, labels: str) -> str:
    """Growth of a counter per second."""
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


REQUESTS = rate("vitrina_http_requests_total", ROUTES)
PREDICTED = rate("vitrina_predicted_products_total", BANK)
TOTALS = f"sum by (product) (vitrina_predicted_products_total{{{BANK}}})"
BUCKETS = rate(f"{LATENCY}_bucket", ROUTES)
MEAN = f"sum({rate(f'{LATENCY}_sum', ROUTES)}) / (sum({rate(f'{LATENCY}_count', ROUTES)}) > 0)"
HOST = 'instance=~"$replica"'

PRESENT = Row(
    "Is it well?",
    [
        stat_panel(
            "Requests",
            Query(f"sum({REQUESTS})"),
            "Requests per second of /predict, /predict_proba and /random. Normal: what the callers have planned.",
            unit="reqps",
            anchor=WHAT,
        ),
        stat_panel(
            "Not answered with 200",
            Query(share(rate("vitrina_http_requests_total", f'{ROUTES}, status!="200"'), REQUESTS)),
            "Share of the answers with another status. Normal: 0. 422: a caller names a column wrongly; 503: no model.",
            unit="percentunit",
            anchor="errorrate",
            limits=[(0.001, "orange"), (0.02, "red")],
            decimals=2,
            nothing="no requests",
        ),
        stat_panel(
            "p99",
            Query(quantile(0.99, BUCKETS)),
            "99 of 100 answers are faster. Normal: some ms.",
            unit="s",
            anchor="slowanswers",
            limits=[(0.05, "orange"), (0.1, "red")],
            nothing="no requests",
        ),
        stat_panel(
            "Positive per answer",
            Query(f"sum({PREDICTED}) / (sum({rate('vitrina_http_requests_total', COUNTED)}) > 0)"),
            "Products answered with 1, for each answer of /predict and /random. Normal: steady, well under one, as few "
            "clients take a product in a month. A jump: other thresholds, or other clients are asked about.",
            unit="none",
            anchor="nothingpredicted",
            base="blue",
            decimals=3,
            nothing="no answers",
        ),
        stat_panel(
            "Model",
            Query(f"max by (version) (vitrina_model_info{{{BANK}}} > 0)", "v{{version}}"),
            "Version in the registry. `vitrina rollback bank_products` puts the one before it back.",
            unit="none",
            anchor="modelnotserved",
            show_name=True,
            nothing="no model",
        ),
        stat_panel(
            "Age of its data",
            Query(f"time() - min(vitrina_model_as_of_timestamp_seconds{{{BANK}}})"),
            "Time since the end of the last month that the model has seen. Normal: up to a month and the days until "
            "the next one is delivered. Years: it learned from a sample.",
            unit="s",
            anchor="monthlymodelstale",
            limits=[(50 * 86400, "orange"), (80 * 86400, "red")],
            nothing="no model",
        ),
        stat_panel(
            "Up for",
            Query(f"time() - min(vitrina_process_start_time_seconds{{{HOST}}})"),
            "Age of the oldest worker, of the youngest replica first. Normal: since the last release.",
            unit="s",
            anchor=WHAT,
            base="blue",
        ),
        stat_panel(
            "Answers so far",
            Query(f"sum(vitrina_http_requests_total{{{ROUTES}}})"),
            "Requests answered since the service was started.",
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
            Query(f"sort_desc({TOTALS})", "{{product}}"),
            "How often /predict and /random answered 1 since the service was started. Normal: direct debit, salary, "
            "pension and credit card first; guarantees and savings accounts almost never.",
            unit="short",
            anchor=WHAT,
            height=18,
            base="blue",
        ),
        bars_panel(
            "Share of the positive answers",
            Query(f"sort_desc({TOTALS} / scalar(sum({TOTALS}) > 0))", "{{product}}"),
            "The same as shares of all positive answers. Normal: steady from week to week; months have their seasons.",
            unit="percentunit",
            anchor=WHAT,
            height=18,
            base="blue",
            decimals=1,
        ),
        lines_panel(
            "Positive answers over time, shares",
            [Query(f"sum by (product) ({PREDICTED}) > 0", "{{product}}")],
            "Which products the answers of the time name. Normal: level; a break at a blue mark is the new model's.",
            unit="none",
            anchor=WHAT,
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
            "Requests by route",
            [Query(f"sum by (route) ({REQUESTS})", "{{route}}")],
            "Normal: what the callers have planned; /random is for trying the service out.",
            unit="reqps",
            anchor=WHAT,
            width=6,
        ),
        lines_panel(
            "Response time",
            [
                Query(MEAN, "mean"),
                Query(quantile(0.5, BUCKETS), "p50"),
                Query(quantile(0.95, BUCKETS), "p95"),
                Query(quantile(0.99, BUCKETS), "p99"),
            ],
            "From the request's head to the end of the answer, without the wait for a free worker. Normal: p99 of "
            "some ms, level under load until the processors are full.",
            unit="s",
            anchor="slowanswers",
            width=6,
        ),
        lines_panel(
            "Answers by status",
            [Query(f"sum by (status) ({REQUESTS})", "{{status}}")],
            "Normal: 200 alone. 422: a caller names a column wrongly; 503: no model.",
            unit="reqps",
            anchor="errorrate",
            colors={"200": "green", "422": "orange", "500": "red", "503": "red"},
            stack="normal",
            width=6,
        ),
        lines_panel(
            "Positive answers per second",
            [Query(f"sum({PREDICTED})", "all products")],
            "Normal: follows the requests. Falls alone: see NothingPredicted.",
            unit="none",
            anchor="nothingpredicted",
            width=6,
        ),
    ],
)

MODEL = Row(
    "Model",
    [
        bars_panel(
            "MAP@7 of the last training",
            Query(
                'sort_desc(max by (recipe) (vitrina_recipe_quality{scenario="bank_products", metric="map@7"}))',
                "{{recipe}}",
            ),
            "All customers of the test month. Normal: the candidate near the champion and above popularity; more than "
            "a tenth is seldom reached, since few customers take anything in a month.",
            unit="none",
            anchor="gaterefusedtwice",
            width=12,
            base="blue",
            decimals=4,
        ),
        lines_panel(
            "Workers by model version",
            [Query(f"sum by (version) (vitrina_model_info{{{BANK}}})", "v{{version}}")],
            "Normal: all workers on one version; both for seconds during a swap.",
            unit="none",
            anchor="swaprefused",
            width=12,
            stack="normal",
            draw="step",
        ),
    ],
)

MACHINE = Row(
    "Machine and the way to Graphite",
    [
        lines_panel(
            "Processor",
            [
                Query(f"max by (instance) (vitrina_host_cpu_ratio{{{HOST}}})", "machine of {{instance}}"),
            ],
            "Share of the machine's processors in use, by whatever runs there. Normal: under 80 %.",
            unit="percentunit",
            anchor=WHAT,
            most=1,
        ),
        lines_panel(
            "Free memory",
            [Query(f"min by (instance) (vitrina_host_memory_available_bytes{{{HOST}}})", "machine of {{instance}}")],
            "Memory of the machine that a process could still have. Normal: over a fifth of it.",
            unit="bytes",
            anchor=WHAT,
        ),
        lines_panel(
            "Values to Graphite",
            [
                Query(f"sum({rate('vitrina_graphite_sent_total', HOST)}) or vector(0)", "sent"),
                Query(
                    or_none(f"sum by (reason) ({rate('vitrina_graphite_dropped_total', HOST)} > 0)", "reason"),
                    "dropped: {{reason}}",
                ),
            ],
            "Per second. Normal: about 3 sent with VITRINA_GRAPHITE, 0 without it; none dropped.",
            unit="none",
            anchor="graphitedropsvalues",
            per="1m",
        ),
    ],
)

BANK_BOARD = Board(
    name="bank",
    title="Vitrina: bank products",
    about="What is predicted for the bank's clients, how fast, by which model. The same from Graphite is beside it.",
    variables=[REPLICA],
    marks=[ALERTS, SWAPS],
    rows=[PRESENT, PRODUCTS, TRAFFIC, MODEL, MACHINE],
    since="now-3h",
    refresh="30s",
)
