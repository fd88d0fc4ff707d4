"""Dashboard for a developer after a bad retrain: what is served, how good it was, how far the days have moved since."""

from __future__ import annotations

from .board import Board, Row, Variable
from .panels import Column, Query, bars_panel, lines_panel, stat_panel, table_panel
from .queries import ALERTS, REPLICA, SCENARIO, SWAPS, VERSION, now, rate

DRIFT = "drift"
QUALITY = 'vitrina_recipe_quality{{scenario=~"$scenario", metric="$metric"{}}}'
CANDIDATE = QUALITY.format(', recipe="candidate"')
BASELINES = QUALITY.format(', recipe!~"candidate|champion"')
EVERY_RECIPE = QUALITY.format("")
PSI = 'vitrina_drift_psi{scenario=~"$scenario"}'
LIMIT = 'vitrina_drift_limit{scenario=~"$scenario"}'
MISSING = 'vitrina_drift_missing_share{{scenario=~"$scenario", part="{}"}}'
FEATURE = "scenario, feature"
OF_LIMIT = f"max by ({FEATURE}) ({PSI}) / max by ({FEATURE}) ({LIMIT})"
OF_RESULT = 'vitrina_drift_psi{feature=~"score|popularity"}'
# The one version of a replica that most of its workers serve; two at once would make the join below ambiguous.
CHOSEN = 'scenario=~"$scenario", instance=~"$replica", version=~"$version"'
SERVED = f"topk by (scenario, instance) (1, vitrina_model_info{{{CHOSEN}}} > 0)"
RECOMMENDING = f'topk by (instance) (1, vitrina_model_info{{{CHOSEN}, scenario="storefront"}} > 0)'
LATENCY = 'rate(vitrina_http_request_duration_seconds_bucket{route="/recommendations"}[$__rate_interval])'
ANSWERS = 'rate(vitrina_recommendations_total{scenario=~"$scenario"}[$__rate_interval])'
METRIC = Variable(
    "metric",
    'vitrina_recipe_quality{scenario=~"$scenario"}',
    "The quality that is compared",
    one="ndcg@10",
)

PRESENT = Row(
    "What is served",
    [
        stat_panel(
            "Model served",
            Query(
                f"max by (scenario, version) ({now('vitrina_model_info', of_scenario=True)} > 0)",
                "{{scenario}} v{{version}}",
            ),
            "Version in the registry. `vitrina rollback` puts the one before it back, without a restart.",
            unit="none",
            anchor="modelnotserved",
            show_name=True,
            nothing="no model",
        ),
        stat_panel(
            "Age of the model",
            Query(f"time() - min({now('vitrina_model_as_of_timestamp_seconds', of_scenario=True)} > 0)"),
            "Time since the newest event that it has seen. Normal: below a day and a half.",
            unit="s",
            anchor="modelstale",
            limits=[(1.5 * 86400, "orange"), (3 * 86400, "red")],
            nothing="no model",
        ),
        stat_panel(
            "In service for",
            Query(f"time() - min({now('vitrina_model_loaded_timestamp_seconds', of_scenario=True)} > 0)"),
            "Time since it was put to work. Normal: below a day; longer when no training came to its end.",
            unit="s",
            anchor="swaprefused",
            nothing="no model",
        ),
        stat_panel(
            "Candidate, $metric",
            Query(f"max({CANDIDATE})"),
            "Quality of the newly trained recipe on the rolling windows of the last evaluation.",
            unit="none",
            anchor="gaterefusedtwice",
            decimals=4,
            base="blue",
            nothing="not evaluated",
        ),
        stat_panel(
            "Against the best baseline",
            Query(f"max({CANDIDATE}) / max({BASELINES} > 0) - 1"),
            "How much better than the best of popular and item_knn. Normal: well above 0. Below 0 the gate keeps the "
            "champion or publishes a baseline.",
            unit="percentunit",
            anchor="gaterefusedtwice",
            base="red",
            limits=[(0, "orange"), (0.02, "green")],
            decimals=1,
            nothing="not evaluated",
        ),
        stat_panel(
            "Drifted features",
            Query('max(vitrina_drifted_features{scenario=~"$scenario"})'),
            "Features whose last day differs from the training by more than their limit. Normal: 0.",
            unit="none",
            anchor="featuredrift",
            limits=[(1, "orange"), (3, "red")],
            nothing="not judged",
        ),
        stat_panel(
            "Furthest from training",
            Query(f"topk(1, {OF_LIMIT})", "{{feature}}"),
            "The feature that is nearest to its limit, or furthest beyond it.",
            unit="none",
            anchor="featuredrift",
            show_name=True,
            limits=[(1, "red")],
            nothing="not judged",
        ),
        stat_panel(
            "Drift judged",
            Query('time() - max(vitrina_drift_judged_timestamp_seconds{scenario=~"$scenario"} > 0)'),
            "Time since drift was last judged, which every training does. Normal: below a day.",
            unit="s",
            anchor=DRIFT,
            limits=[(2 * 86400, "orange")],
            nothing="not judged",
        ),
    ],
)

QUALITY_ROW = Row(
    "How good it was when it was trained",
    [
        lines_panel(
            "$metric by recipe",
            [Query(f"max by (scenario, recipe) ({EVERY_RECIPE})", "{{recipe}}")],
            "A step at each training. Normal: candidate and champion near each other, above the baselines. All "
            " falling together: the shop has changed; the candidate alone: the recipe or its data.",
            unit="none",
            anchor="gaterefusedtwice",
            draw="step",
            colors={"candidate": "blue", "champion": "green"},
        ),
        lines_panel(
            "Candidate recall by source",
            [Query('max by (scenario, source) (vitrina_candidate_recall{scenario=~"$scenario"})', "{{source}}")],
            "What the ranker has to choose from. Normal: steady. union falling: no ranker can make up for it; see "
            "which source fell.",
            unit="percentunit",
            anchor="pipeline",
            most=1,
            draw="step",
        ),
        lines_panel(
            "Workers by model version",
            [
                Query(
                    f"sum by (scenario, version) ({now('vitrina_model_info', of_scenario=True)})",
                    "{{scenario}} v{{version}}",
                )
            ],
            "Which version answered when. Normal: one at a time.",
            unit="none",
            anchor="swaprefused",
            stack="normal",
            draw="step",
        ),
    ],
)

DRIFT_ROW = Row(
    "Has the shop moved away from the training?",
    [
        bars_panel(
            "Furthest features, in limits",
            Query(f"topk(15, {OF_LIMIT})", "{{feature}}"),
            "The fifteen furthest: population stability index between training and the last day, divided by the "
            "feature's limit; score and popularity are of what would be recommended. Normal: below 1.",
            unit="none",
            anchor="featuredrift",
            limits=[(0.7, "orange"), (1, "red")],
            height=12,
            decimals=2,
        ),
        lines_panel(
            "Shift over time, in limits",
            [
                Query(f"max({OF_LIMIT})", "furthest feature"),
                Query(f"({OF_LIMIT}) and on (feature) {OF_RESULT}", "{{feature}}"),
            ],
            "A step at each training. Normal: below 1, level. A slow climb: the season; a jump: the shop, its tracking "
            "or its export changed that day.",
            unit="none",
            anchor="featuredrift",
            limits=[(1, "red")],
            height=12,
            draw="step",
        ),
        table_panel(
            "Features",
            {"feature": "Feature"},
            [
                Column(
                    "In limits", f"max by (feature) ({OF_LIMIT})", unit="none", limits=[(0.7, "orange"), (1, "red")]
                ),
                Column("Index", f"max by (feature) ({PSI})", unit="none"),
                Column("Missing then", f"max by (feature) ({MISSING.format('training')})", unit="percentunit"),
                Column("Missing now", f"max by (feature) ({MISSING.format('last_day')})", unit="percentunit"),
            ],
            "All of them, the furthest first; from 1 on it has drifted. Missing: in training (then), on the last day "
            "(now); a change means that a source of the feature was not filled.",
            anchor=DRIFT,
            width=8,
            height=12,
            first="In limits",
        ),
    ],
)

LIVE = Row(
    "What visitors get from it",
    [
        lines_panel(
            "Answers by model version",
            [
                Query(
                    f"sum by (scenario, version) ({ANSWERS} * on (scenario, instance) "
                    f"group_left (version) {SERVED} ^ 0)",
                    "{{scenario}} v{{version}}",
                )
            ],
            "Normal: one version, the next one takes over within seconds, and the sum does not dip.",
            unit="reqps",
            anchor="service",
            stack="normal",
        ),
        lines_panel(
            "p99 of recommendations by model version",
            [
                Query(
                    "histogram_quantile(0.99, sum by (le, version) "
                    f"({LATENCY} * on (instance) group_left (version) {RECOMMENDING} ^ 0)) >= 0",
                    "v{{version}}",
                )
            ],
            "Normal: a new version is as fast as the one before. Slower: more candidates, trees or features.",
            unit="s",
            anchor="slowanswers",
        ),
        lines_panel(
            "Items by source",
            [
                Query(
                    f"sum by (source) ({rate('vitrina_recommended_items_total', of_scenario=True)})",
                    "{{source}}",
                )
            ],
            "Where the shown items come from. Normal: the same mix before and after a swap.",
            unit="none",
            anchor="service",
            stack="percent",
        ),
    ],
)

MODEL = Board(
    name="model",
    title="Vitrina: model and drift",
    about="What is served, how good it was in its evaluation, how far the last days have moved from its training.",
    variables=[SCENARIO, VERSION, REPLICA, METRIC],
    marks=[ALERTS, SWAPS],
    rows=[PRESENT, QUALITY_ROW, DRIFT_ROW, LIVE],
    since="now-7d",
    refresh="1m",
)
