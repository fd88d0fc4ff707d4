"""Dashboard for whoever is called at night: does it answer, how fast, with what, from which model and machines."""

from __future__ import annotations

from .board import Board, Row
from .panels import Query, bars_panel, lines_panel, stat_panel, states_panel
from .queries import ALERTS, REPLICA, SCENARIO, SWAPS, VERSION, now, or_none, quantile, rate, share

WHAT = "service"  # the heading of docs/monitor.md that explains these metrics

OF_WHO_ASKS = "unknown_user|no_list|too_few|empty_cart|unknown_products|nothing_goes_with_it"
# Probes, scrapes and the operator's routes are left out, as in the alert rules.
SHOP = 'route!~"/|/healthz|/readyz|/metrics|/models"'
REQUESTS = rate("vitrina_http_requests_total", SHOP)
SERVER_ERRORS = rate("vitrina_http_requests_total", f'{SHOP}, status=~"5.."')
LATENCY = "vitrina_http_request_duration_seconds_bucket"
RECOMMENDING = rate(LATENCY, 'route="/recommendations"')
ANSWERS = rate("vitrina_recommendations_total", of_scenario=True)
# Strangers, visitors without a list and odd carts say something about who asks; every other reason about the service.
UNWANTED = rate("vitrina_fallbacks_total", f'reason!~"{OF_WHO_ASKS}"', of_scenario=True)
FALLBACKS = rate("vitrina_fallbacks_total", of_scenario=True)
TOLD_COLD = f"({ANSWERS} and on (scenario, instance) vitrina_cold_users_total)"  # carts come without a word on it
ASKED_BUCKETS = rate("vitrina_requested_items_bucket", of_scenario=True)
ASKED_SUM = rate("vitrina_requested_items_sum", of_scenario=True)
ASKED_COUNT = rate("vitrina_requested_items_count", of_scenario=True)
YES_NO = {"1": ("yes", "green"), "0": ("no", "red")}

PRESENT = Row(
    "Is anything wrong?",
    [
        stat_panel(
            "Alerts",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)'),
            "Firing alerts of the whole stack. Normal: 0. Red marks in the charts below show when they began.",
            unit="none",
            anchor="alerts-and-runbooks",
            limits=[(1, "red")],
        ),
        stat_panel(
            "Replicas up",
            Query('count(up{job="app", instance=~"$replica"} == 1) or vector(0)'),
            "Replicas of the service that Prometheus reaches. Normal: as many as were started (`--scale app=N`).",
            unit="none",
            anchor="servicedown",
            base="red",
            limits=[(1, "green")],
        ),
        stat_panel(
            "Requests",
            Query(f"sum({REQUESTS})"),
            "Requests of the shop per second, without probes and scrapes. Normal: the shop's daily rhythm; never 0.",
            unit="reqps",
            anchor=WHAT,
        ),
        stat_panel(
            "Server errors",
            Query(share(SERVER_ERRORS, REQUESTS)),
            "Share of answers with status 5xx. Normal: 0. A model that cannot rank falls back and does not end here.",
            unit="percentunit",
            anchor="errorrate",
            limits=[(0.001, "orange"), (0.02, "red")],
            decimals=2,
            nothing="no requests",
        ),
        stat_panel(
            "p99 of recommendations",
            Query(quantile(0.99, RECOMMENDING)),
            "99 of 100 answers of /recommendations are faster. Normal: below 10 ms up to half of the greatest load.",
            unit="s",
            anchor="slowanswers",
            limits=[(0.05, "orange"), (0.1, "red")],
            nothing="no requests",
        ),
        stat_panel(
            "Unwanted fallbacks",
            Query(share(UNWANTED, ANSWERS)),
            "Answers from a later source for a reason that is no matter of who asks (a stranger, a visitor without a "
            "list, a cart of unknown products). Normal: below 2 %.",
            unit="percentunit",
            anchor="fallbackshare",
            limits=[(0.02, "orange"), (0.1, "red")],
            decimals=1,
            nothing="no answers",
        ),
        stat_panel(
            "Model served",
            Query(
                f"max by (scenario, version) ({now('vitrina_model_info', of_scenario=True)} > 0)",
                "{{scenario}} v{{version}}",
            ),
            "Version in the registry that answers. Two at once are a swap under way, which takes seconds.",
            unit="none",
            anchor="modelnotserved",
            show_name=True,
            nothing="no model",
        ),
        stat_panel(
            "Age of the lists",
            Query(f"time() - min({now('vitrina_lists_as_of_timestamp_seconds', of_scenario=True)} > 0)"),
            "Time since the newest event behind the precomputed lists. Normal: a bit over a day when trained daily.",
            unit="s",
            anchor="modelstale",
            limits=[(2 * 86400, "orange"), (3 * 86400, "red")],
            nothing="no lists",
        ),
    ],
)

TRAFFIC = Row(
    "Traffic and latency",
    [
        lines_panel(
            "Requests by route",
            [Query(f"sum by (route) ({REQUESTS})", "{{route}}")],
            "Normal: /recommendations leads and follows the shop's day. `other` growing: somebody scans for addresses.",
            unit="reqps",
            anchor=WHAT,
            stack="normal",
        ),
        lines_panel(
            "Latency of recommendations",
            [
                Query(quantile(0.5, RECOMMENDING), "p50"),
                Query(quantile(0.95, RECOMMENDING), "p95"),
                Query(quantile(0.99, RECOMMENDING), "p99"),
            ],
            "Normal: p50 below 1 ms (precomputed lists), p99 below 10 ms. p99 alone rising: online ranking or a busy "
            "machine; p50 rising with it: more load than the workers can take.",
            unit="s",
            anchor="slowanswers",
            limits=[(0.1, "red")],
            colors={"p50": "green", "p95": "orange", "p99": "red"},
        ),
        lines_panel(
            "p99 by replica",
            [Query(quantile(0.99, RECOMMENDING, "instance"), "{{instance}}")],
            "Normal: the replicas run together. One apart: its machine is busy or swaps; restart or drain that one.",
            unit="s",
            anchor="slowanswers",
        ),
        lines_panel(
            "Answers by status",
            [Query(f"sum by (status) ({REQUESTS})", "{{status}}")],
            "Normal: 200, and a few 422 of wrong requests. 503: no model or a full queue; 500: a fault, see the logs.",
            unit="reqps",
            anchor="errorrate",
            colors={"200": "green", "422": "yellow", "500": "dark-red", "502": "dark-red", "503": "red"},
        ),
        lines_panel(
            "Errors by kind",
            [Query(or_none(f"sum by (kind) ({rate('vitrina_errors_total')})", "kind"), "{{kind}}")],
            "Refused and failed requests. Normal: a trickle of wrong requests, no Internal Server Error.",
            unit="reqps",
            anchor="errorrate",
        ),
        lines_panel(
            "p99 by route",
            [Query(quantile(0.99, rate(LATENCY, SHOP), "route"), "{{route}}")],
            "Normal: every route below 10 ms, but /token, whose check of a password takes a tenth of a second. One "
            "alone slow: what it reads is away or large.",
            unit="s",
            anchor=WHAT,
        ),
    ],
)

ANSWER_ROW = Row(
    "What the answers are made of",
    [
        lines_panel(
            "Answers by source",
            [Query(f"sum by (source) ({ANSWERS})", "{{source}}")],
            "Source of the first item. Normal: precomputed for known visitors, session while they browse, popular for "
            "strangers, cart for carts. All popular: lists or histories are gone.",
            unit="none",
            anchor=WHAT,
            stack="percent",
        ),
        lines_panel(
            "Items by source",
            [Query(f"sum by (source) ({rate('vitrina_recommended_items_total', of_scenario=True)})", "{{source}}")],
            "Source of every recommended item, refilled ones included. Normal: as the answers; more popular items than "
            "popular answers mean that lists or filters leave too little.",
            unit="none",
            anchor=WHAT,
            stack="percent",
        ),
        lines_panel(
            "Fallbacks by reason, share of answers",
            [
                Query(f"sum by (reason) ({FALLBACKS}) / scalar(sum({ANSWERS}) > 0)", "{{reason}}"),
            ],
            "Normal: unknown_user as the shop has strangers, no_list for visitors who are seldom here, too_few as "
            "callers filter. source_failed must be 0; lists_of_other_model lasts from a promotion to its lists.",
            unit="percentunit",
            anchor="fallbackshare",
        ),
        lines_panel(
            "Answers to strangers",
            [Query(share(rate("vitrina_cold_users_total", of_scenario=True), TOLD_COLD), "without a history")],
            "Share of answers for visitors without any history. Normal: the shop's share of new visitors, stable over "
            "days; a jump to 100 %: the lists with the histories were not loaded.",
            unit="percentunit",
            anchor=WHAT,
            most=1,
        ),
        lines_panel(
            "Items asked for (k)",
            [
                Query(f"sum({ASKED_SUM}) / (sum({ASKED_COUNT}) > 0)", "mean"),
                Query(quantile(0.95, ASKED_BUCKETS), "95 % ask for at most"),
            ],
            "Normal: what the shop's pages show. A jump is a change of the pages, and costs latency.",
            unit="none",
            anchor=WHAT,
        ),
        bars_panel(
            "Requests by replica",
            Query(f"sum by (instance) ({REQUESTS})", "{{instance}}"),
            "Normal: equal shares. A replica with none is drained, or the proxy does not know it.",
            unit="reqps",
            anchor=WHAT,
            base="blue",
        ),
    ],
)

MODEL_ROW = Row(
    "Model, lists and what they are fetched from",
    [
        lines_panel(
            "Workers by model version",
            [
                Query(
                    f"sum by (scenario, version) ({now('vitrina_model_info', of_scenario=True)})",
                    "{{scenario}} v{{version}}",
                )
            ],
            "Normal: all workers on one version; both for seconds during a swap. An old version that stays: a replica "
            "could not load the new one (see swaps).",
            unit="none",
            anchor="swaprefused",
            width=6,
            stack="normal",
            draw="step",
        ),
        lines_panel(
            "Age of model and lists",
            [
                Query(f"time() - min({now('vitrina_model_as_of_timestamp_seconds', of_scenario=True)} > 0)", "model"),
                Query(f"time() - min({now('vitrina_lists_as_of_timestamp_seconds', of_scenario=True)} > 0)", "lists"),
            ],
            "Time since the newest event that they have seen. Normal: a saw-tooth between a few hours and a bit over a "
            "day; only rising: trainings fail.",
            unit="s",
            anchor="modelstale",
            width=6,
        ),
        lines_panel(
            "Swaps",
            [
                Query(
                    'sum by (what, outcome) (increase(vitrina_swaps_total{scenario=~"$scenario", '
                    'instance=~"$replica"}[$__rate_interval]))',
                    "{{what}} {{outcome}}",
                )
            ],
            "Changes of the served model or lists, counted in every worker. Normal: done, once a training. refused or "
            "failed: the new files are broken or unreachable, the old ones go on serving.",
            unit="none",
            anchor="swaprefused",
            width=6,
            draw="bars",
            per="1m",
        ),
        states_panel(
            "Registry and object store reachable",
            [
                Query('min(vitrina_registry_up{instance=~"$replica"})', "registry"),
                Query('min(vitrina_objects_up{instance=~"$replica"})', "object store"),
            ],
            "Whether the last look succeeded, in the worst worker. Normal: yes. No: answers go on, but no new model or "
            "list arrives.",
            names=YES_NO,
            anchor="registryunreachable",
            width=6,
        ),
    ],
)

PROCESSES = Row(
    "Processes",
    [
        lines_panel(
            "Workers",
            [Query(f"sum by (instance) ({now('vitrina_workers')})", "{{instance}}")],
            "Live worker processes. Normal: VITRINA_WORKERS for each replica. A dip: one was killed and replaced.",
            unit="none",
            anchor=WHAT,
            draw="step",
        ),
        lines_panel(
            "Processor",
            [Query(f"sum by (instance) ({rate('vitrina_process_cpu_seconds_total')})", "{{instance}}")],
            "Cores in use. Normal: follows the requests. At the number of workers the replica is full: add one.",
            unit="none",
            anchor=WHAT,
        ),
        lines_panel(
            "Memory",
            [Query(f"sum by (instance) ({now('vitrina_process_resident_memory_bytes')})", "{{instance}}")],
            "Resident memory of the workers together; mapped model files count once for each. Normal: flat, a step at "
            "a swap. Rising for days: a leak; VITRINA_APP_MEMORY is where the container ends.",
            unit="bytes",
            anchor=WHAT,
        ),
    ],
)

SERVICE = Board(
    name="service",
    title="Vitrina: service",
    about="Does the service answer, how fast, with what, from which model? First the top line, then down to the cause.",
    variables=[SCENARIO, REPLICA, VERSION],
    marks=[ALERTS, SWAPS],
    rows=[PRESENT, TRAFFIC, ANSWER_ROW, MODEL_ROW, PROCESSES],
    since="now-3h",
    refresh="30s",
)
