"""Dashboard of the companions of carts: what they are made of, how fast they come, by which model; and who signs in."""

from __future__ import annotations

from .board import Board, Mark, Row
from .panels import Query, bars_panel, lines_panel, stat_panel
from .queries import ALERTS, REPLICA, quantile, share

WHAT = "service"  # the heading of docs/monitor.md that explains these metrics
HOST = 'instance=~"$replica"'
BASKET = f'scenario="basket", {HOST}'
ROUTE = f'route="/send_data", {HOST}'
SIGNING = f'route="/token", {HOST}'
LATENCY = "vitrina_http_request_duration_seconds"
CARTS, CONFIDENCE = "vitrina_cart_products", "vitrina_companion_confidence"

SWAPS = Mark(
    "Swaps of the model",
    'max(vitrina_model_loaded_timestamp_seconds{scenario="basket"}) * 1000',
    "New model",
    "basket",
    "blue",
    of_value=True,
)


def rate(metric: str, labels: str) -> str:
    """Growth of a counter per second."""
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def mean(histogram: str, labels: str) -> str:
    """Mean of what a histogram has seen lately; nothing while it is at rest."""
    return f"sum({rate(f'{histogram}_sum', labels)}) / (sum({rate(f'{histogram}_count', labels)}) > 0)"


REQUESTS = rate("vitrina_http_requests_total", ROUTE)
BUCKETS = rate(f"{LATENCY}_bucket", ROUTE)
ANSWERS = rate("vitrina_recommendations_total", BASKET)
FALLBACKS = rate("vitrina_fallbacks_total", BASKET)
SIGN_INS = rate("vitrina_sign_ins_total", HOST)
REFUSED = rate("vitrina_sign_ins_total", f'outcome=~"refused|throttled", {HOST}')

PRESENT = Row(
    "Is it well?",
    [
        stat_panel(
            "Requests",
            Query(f"sum({REQUESTS})"),
            "Requests per second of /send_data. Normal: the shop's carts over the day.",
            unit="reqps",
            anchor=WHAT,
        ),
        stat_panel(
            "Not answered with 200",
            Query(share(rate("vitrina_http_requests_total", f'{ROUTE}, status!="200"'), REQUESTS)),
            "Share of the answers with another status. Normal: near 0, as tokens run out and are renewed (401). 422: a "
            "caller's request is wrong; 503: no model, or the database of the accounts is away.",
            unit="percentunit",
            anchor="errorrate",
            limits=[(0.01, "orange"), (0.05, "red")],
            decimals=2,
            nothing="no requests",
        ),
        stat_panel(
            "p99",
            Query(quantile(0.99, BUCKETS)),
            "99 of 100 answers are faster, the check of the token included. Normal: some ms.",
            unit="s",
            anchor="slowanswers",
            limits=[(0.05, "orange"), (0.1, "red")],
            nothing="no requests",
        ),
        stat_panel(
            "From the cart",
            Query(share(rate("vitrina_recommendations_total", f'source="cart", {BASKET}'), ANSWERS)),
            "Share of the answers that are made of the cart itself. Normal: nearly all; the others are made of the "
            "customer's history or of what is popular.",
            unit="percentunit",
            anchor="companionswithoutcart",
            base="red",
            limits=[(0.7, "orange"), (0.9, "green")],
            decimals=1,
            nothing="no answers",
        ),
        stat_panel(
            "Unknown products",
            Query(share(rate("vitrina_unknown_products_total", BASKET), rate(f"{CARTS}_sum", BASKET))),
            "Share of the carts' products that the model does not know. Normal: a few percent, what came into the shop "
            "after the training.",
            unit="percentunit",
            anchor="companionswithoutcart",
            limits=[(0.1, "orange"), (0.3, "red")],
            decimals=1,
            nothing="no carts",
        ),
        stat_panel(
            "Model",
            Query(f"max by (version) (vitrina_model_info{{{BASKET}}} > 0)", "v{{version}}"),
            "Version in the registry. `vitrina rollback basket` puts the one before it back.",
            unit="none",
            anchor="companionswithoutmodel",
            show_name=True,
            nothing="no model",
        ),
        stat_panel(
            "Age of its data",
            Query(f"time() - min(vitrina_model_as_of_timestamp_seconds{{{BASKET}}})"),
            "Time since the newest invoice that the model has seen. Normal: up to a week. Years: it learned from a "
            "sample.",
            unit="s",
            anchor="companionsstale",
            limits=[(8 * 86400, "orange"), (14 * 86400, "red")],
            nothing="no model",
        ),
        stat_panel(
            "Sign-ins refused",
            Query(f'sum(increase(vitrina_sign_ins_total{{outcome=~"refused|throttled", {HOST}}}[10m])) or vector(0)'),
            "Wrong names and passwords of the last ten minutes, put-off ones included. Normal: a few.",
            unit="none",
            anchor="signinsrefused",
            limits=[(20, "orange"), (100, "red")],
            decimals=0,
        ),
    ],
)

ANSWER_ROW = Row(
    "What the companions are made of",
    [
        lines_panel(
            "Answers by source",
            [Query(f"sum by (source) ({ANSWERS})", "{{source}}")],
            "Normal: cart. history: an empty or unknown cart of a customer with invoices; popular: of anybody else.",
            unit="none",
            anchor=WHAT,
            width=6,
            stack="percent",
            colors={"cart": "green", "history": "blue", "popular": "orange"},
        ),
        lines_panel(
            "Why not from the cart, share of answers",
            [Query(f"sum by (reason) ({FALLBACKS}) / scalar(sum({ANSWERS}) > 0)", "{{reason}}")],
            "Normal: empty_cart as the callers ask before anything is in the cart, little else. unknown_products: "
            "other codes than the invoices have; nothing_goes_with_it: products that are too rare, or new; "
            "source_failed: a fault of the model, see the log.",
            unit="percentunit",
            anchor="companionswithoutcart",
            width=6,
        ),
        lines_panel(
            "Products in the carts",
            [
                Query(mean(CARTS, BASKET), "mean"),
                Query(quantile(0.5, rate(f"{CARTS}_bucket", BASKET)), "half have at most"),
                Query(quantile(0.95, rate(f"{CARTS}_bucket", BASKET)), "95 % have at most"),
            ],
            "Normal: the shop's carts. All of one product: the caller sends the product of the page, not the cart.",
            unit="none",
            anchor=WHAT,
            width=6,
        ),
        lines_panel(
            "Confidence of the first companion",
            [
                Query(mean(CONFIDENCE, BASKET), "mean"),
                Query(quantile(0.1, rate(f"{CONFIDENCE}_bucket", BASKET)), "one in ten is below"),
                Query(quantile(0.9, rate(f"{CONFIDENCE}_bucket", BASKET)), "one in ten is above"),
            ],
            "The share of such carts in which it was taken as well. Normal: level; a break at a blue mark is the new "
            "model's. Falls: carts are unlike those of the training.",
            unit="percentunit",
            anchor=WHAT,
            width=6,
        ),
    ],
)

TRAFFIC = Row(
    "Requests and how they are answered",
    [
        lines_panel(
            "Answers by status",
            [Query(f"sum by (status) ({REQUESTS})", "{{status}}")],
            "Normal: 200. 401: no token or one that is over; 403: an account without the scope; 422: a wrong request; "
            "503: no model.",
            unit="reqps",
            anchor="errorrate",
            colors={"200": "green", "401": "yellow", "403": "yellow", "422": "orange", "500": "red", "503": "red"},
            stack="normal",
        ),
        lines_panel(
            "Response time",
            [
                Query(mean(LATENCY, ROUTE), "mean"),
                Query(quantile(0.5, BUCKETS), "p50"),
                Query(quantile(0.95, BUCKETS), "p95"),
                Query(quantile(0.99, BUCKETS), "p99"),
            ],
            "From the request's head to the end of the answer, without the wait for a free worker. Normal: p99 of some "
            "ms, level under load until the processors are full.",
            unit="s",
            anchor="slowanswers",
        ),
        lines_panel(
            "Companions asked for (n)",
            [
                Query(mean("vitrina_requested_items", BASKET), "mean"),
                Query(quantile(0.95, rate("vitrina_requested_items_bucket", BASKET)), "95 % ask for at most"),
            ],
            "Normal: what the shop's pages show.",
            unit="none",
            anchor=WHAT,
        ),
    ],
)

ACCOUNTS = Row(
    "Accounts",
    [
        lines_panel(
            "Sign-ins",
            [Query(f"sum by (outcome) ({SIGN_INS})", "{{outcome}}")],
            "Normal: done, each caller about once an hour. refused and throttled for minutes: somebody guesses "
            "passwords, or a program has an old one. failed: the state database is away.",
            unit="reqps",
            anchor="signinsrefused",
            width=12,
            colors={"done": "green", "refused": "orange", "throttled": "red", "failed": "purple"},
        ),
        lines_panel(
            "Response time of /token",
            [
                Query(quantile(0.5, rate(f"{LATENCY}_bucket", SIGNING)), "p50"),
                Query(quantile(0.99, rate(f"{LATENCY}_bucket", SIGNING)), "p99"),
            ],
            "Normal: a tenth of a second, as a password's check takes 64 MB and a core on purpose; two run at once, "
            "the others wait.",
            unit="s",
            anchor="signinsrefused",
            width=12,
        ),
    ],
)

MODEL = Row(
    "Model",
    [
        bars_panel(
            "NDCG@10 of the last training",
            Query(
                'sort_desc(max by (recipe) (vitrina_recipe_quality{scenario="basket", metric="ndcg@10"}))',
                "{{recipe}}",
            ),
            "One product is hidden from each basket of the test weeks, and all others are ranked. Normal: the "
            "candidate near the champion and well above popular.",
            unit="none",
            anchor="gaterefusedtwice",
            base="blue",
            decimals=4,
        ),
        bars_panel(
            "Calibration error of the last training",
            Query(
                'sort_desc(max by (recipe) (vitrina_recipe_quality{scenario="basket", metric="calibration_error"}))',
                "{{recipe}}",
            ),
            "How far a confidence lies on average from the share of the test weeks' carts in which the product was "
            "taken. Normal: under 2 %; above it the carts of the test weeks were unlike those before.",
            unit="percentunit",
            anchor="pipeline",
            limits=[(0.02, "orange"), (0.05, "red")],
            decimals=2,
        ),
        lines_panel(
            "Workers by model version",
            [Query(f"sum by (version) (vitrina_model_info{{{BASKET}}})", "v{{version}}")],
            "Normal: all workers on one version; both for seconds during a swap.",
            unit="none",
            anchor="swaprefused",
            stack="normal",
            draw="step",
        ),
    ],
)

BASKET_BOARD = Board(
    name="basket",
    title="Vitrina: companions of carts",
    about="What the companions of carts are made of, how fast they come, from which model, and who signs in.",
    variables=[REPLICA],
    marks=[ALERTS, SWAPS],
    rows=[PRESENT, ANSWER_ROW, TRAFFIC, ACCOUNTS, MODEL],
    since="now-3h",
    refresh="30s",
)
