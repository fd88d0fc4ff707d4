"""Dashboard for whoever looks after the trainings: do they succeed, how long, on what data, with what result."""

from __future__ import annotations

from .board import Board, Row
from .panels import Column, Query, bars_panel, lines_panel, stat_panel, states_panel, table_panel
from .queries import ALERTS, TRAINED, TRAININGS, or_none

WHAT = "pipeline"
ENDED = 'vitrina_step_ended_timestamp_seconds{{scenario=~"$scenario", outcome="{}"}}'
STEP = "scenario, step"
DONE = f"max by ({STEP}) ({ENDED.format('done')})"
FAILED = f"max by ({STEP}) ({ENDED.format('failed')})"
# 1 where the last finished attempt of a step was done, 0 where it failed.
LAST_WELL = f"({DONE} or 0 * {FAILED}) >= bool ({FAILED} or 0 * {DONE})"
RUNS = 'vitrina_step_runs_total{scenario=~"$scenario"}'
RUNNING = 'vitrina_step_running{scenario=~"$scenario"}'
DURATION = 'vitrina_step_duration_seconds{scenario=~"$scenario"}'
ROWS = 'vitrina_step_rows{{scenario=~"$scenario", direction="{}"}}'
REJECTED = 'vitrina_rejected_rows{scenario=~"$scenario"}'
NDCG = 'vitrina_recipe_quality{scenario=~"$scenario", metric="ndcg@10"}'
DISK = "vitrina_disk_free_bytes / vitrina_disk_size_bytes"
GOOD_BAD = {"1": ("done", "green"), "0": ("failed", "red")}

PRESENT = Row(
    "Does training work?",
    [
        stat_panel(
            "Last good training",
            Query('time() - max(vitrina_training_succeeded_timestamp_seconds{scenario=~"$scenario"} > 0)'),
            "How long ago a training came to its end. Normal: below a day; an alert comes after two.",
            unit="s",
            anchor="nosuccessfultraining",
            limits=[(30 * 3600, "orange"), (2 * 86400, "red")],
            nothing="none yet",
        ),
        stat_panel(
            "Steps that failed last",
            Query(f"count(({LAST_WELL}) == 0) or vector(0)"),
            "Steps whose newest attempt failed. Normal: 0. The table below names them; their log is in Airflow.",
            unit="none",
            anchor="nosuccessfultraining",
            limits=[(1, "red")],
        ),
        stat_panel(
            "Refusals in a row",
            Query('max(vitrina_gate_refusals_in_a_row{scenario=~"$scenario"}) or vector(0)'),
            "Trainings since the last one that the gate let pass. Normal: 0, now and then 1. An alert comes at 2.",
            unit="none",
            anchor="gaterefusedtwice",
            limits=[(1, "orange"), (2, "red")],
        ),
        stat_panel(
            "Steps running",
            Query(f"sum({RUNNING}) or vector(0)"),
            "Steps under way now. Normal: 0, and 1 while a training runs. An alert comes after three hours.",
            unit="none",
            anchor="stepstuck",
            base="blue",
        ),
        stat_panel(
            "Last training took",
            Query(f"sum({DURATION})"),
            "The last attempts of all steps, added up. Normal: five minutes for 2.8 million events on two cores.",
            unit="s",
            anchor=WHAT,
        ),
        stat_panel(
            "Rows rejected",
            Query(
                f"(sum({REJECTED}) or vector(0)) / "
                'sum(vitrina_step_rows{scenario=~"$scenario", step="validate", direction="in"} > 0)'
            ),
            "Share of the shop's rows that the last validation left out. Normal: below 1 %. An alert comes at 10 %.",
            unit="percentunit",
            anchor="rowsrejected",
            limits=[(0.01, "orange"), (0.1, "red")],
            decimals=2,
            nothing="no rows",
        ),
        stat_panel(
            "Fullest disk, free",
            Query(f"min({DISK})"),
            "Free share of the fullest watched volume. Normal: above 15 %. At 5 % databases are about to stop.",
            unit="percentunit",
            anchor="diskfilling",
            base="red",
            limits=[(0.05, "orange"), (0.15, "green")],
            nothing="none watched",
        ),
        stat_panel(
            "State database",
            Query("min(vitrina_state_up)"),
            "Whether the exporter could read the state database. Everything else on this page comes from there.",
            unit="none",
            anchor="stateunreachable",
            names={"1": ("readable", "green"), "0": ("away", "red")},
            nothing="no exporter",
        ),
    ],
)

STEPS = Row(
    "Steps",
    [
        table_panel(
            "Every step",
            {"scenario": "Scenario", "step": "Step"},
            [
                Column("Last attempt", LAST_WELL, names=GOOD_BAD),
                Column(
                    "Began",
                    f'time() - max by ({STEP}) (vitrina_step_begun_timestamp_seconds{{scenario=~"$scenario"}})',
                    unit="s",
                ),
                Column("Took", f"max by ({STEP}) ({DURATION})", unit="s"),
                Column("Rows in", f"max by ({STEP}) ({ROWS.format('in')})"),
                Column("Rows out", f"max by ({STEP}) ({ROWS.format('out')})"),
                Column(
                    "Done",
                    f'sum by ({STEP}) (vitrina_step_runs_total{{scenario=~"$scenario", outcome="done"}})',
                    unit="none",
                ),
                Column(
                    "Failed",
                    f'sum by ({STEP}) (vitrina_step_runs_total{{scenario=~"$scenario", outcome="failed"}}) '
                    f"or 0 * sum by ({STEP}) ({RUNS})",
                    unit="none",
                    limits=[(1, "orange")],
                ),
            ],
            "Began (how long ago): the newest attempt. Rows: of the newest that was done. Normal: all done, one age, "
            "row counts near yesterday's.",
            anchor=WHAT,
            width=16,
            height=10,
        ),
        lines_panel(
            "Duration by step",
            [Query(f"max by ({STEP}) ({DURATION})", "{{step}}")],
            "Of the newest attempt of each step. Normal: grows with the log, slowly. A jump: more data, a busy machine "
            "or a cold cache.",
            unit="s",
            anchor=WHAT,
            height=10,
            stack="normal",
            draw="step",
        ),
    ],
)

DATA = Row(
    "Data that went in",
    [
        lines_panel(
            "Rows by step",
            [Query(f"max by ({STEP}) ({ROWS.format('in')})", "{{step}}")],
            "Rows that each step read. Normal: one level for all steps after validate, rising slowly. A drop: days of "
            "the log are missing.",
            unit="short",
            anchor=WHAT,
            draw="step",
        ),
        lines_panel(
            "Rejected rows by reason",
            [Query(or_none(f"sum by (reason) ({REJECTED})", "reason"), "{{reason}}")],
            "Rows that the last validation left out. Normal: few, of the same reasons. A new reason: the shop changed "
            "its export.",
            unit="short",
            anchor="rowsrejected",
            stack="normal",
            draw="step",
        ),
        states_panel(
            "When steps ran",
            [Query(f"max by (step) ({RUNNING})", "{{step}}")],
            "Normal: one after the other, once a night. A bar over hours: the step hangs or was killed.",
            names={"1": ("running", "blue"), "0": ("at rest", "transparent")},
            anchor="stepstuck",
        ),
    ],
)

RESULT = Row(
    "What came out",
    [
        bars_panel(
            "Candidate recall by source",
            Query(
                'sort_desc(max by (scenario, source) (vitrina_candidate_recall{scenario=~"$scenario"}))', "{{source}}"
            ),
            "Share of the held-out carts that each source finds; union is all together. Normal: stable to a few "
            "hundredths from training to training. One source at 0: its table is empty.",
            unit="percentunit",
            anchor=WHAT,
            most=1,
            decimals=1,
            base="blue",
        ),
        bars_panel(
            "ndcg@10 by recipe",
            Query(
                f"sort_desc(max by (scenario, recipe) ({NDCG}))",
                "{{recipe}}",
            ),
            "On the same rolling windows. Normal: candidate and champion close together, both above item_knn and "
            "popular. Below a baseline: the gate refuses; look at drift and at the rows.",
            unit="none",
            anchor="gaterefusedtwice",
            decimals=4,
            base="blue",
        ),
        lines_panel(
            "Decisions of the gate",
            [
                Query('sum by (outcome) (vitrina_gate_outcomes_total{scenario=~"$scenario"})', "{{outcome}}"),
            ],
            "All decisions so far. Normal: promoted climbs once a night, refused stays nearly flat.",
            unit="none",
            anchor="gaterefusedtwice",
            draw="step",
            colors={"promoted": "green", "refused": "red"},
        ),
    ],
)

MACHINES = Row(
    "Around it",
    [
        lines_panel(
            "Free share of the volumes",
            [Query(DISK, "{{volume}}")],
            "Normal: a saw-tooth that keeps its level; old models and lists are removed by themselves. Falling: see "
            "which volume, then docs/operate.md.",
            unit="percentunit",
            anchor="diskfilling",
            most=1,
            limits=[(0.15, "orange")],
        ),
        lines_panel(
            "Values to Graphite",
            [
                Query("sum(increase(vitrina_graphite_sent_total[$__rate_interval])) or vector(0)", "sent"),
                Query("sum(increase(vitrina_graphite_dropped_total[$__rate_interval])) or vector(0)", "dropped"),
            ],
            "The business by day goes there after each prepare. Normal: a burst a day, nothing dropped.",
            unit="none",
            anchor="graphitedropsvalues",
            draw="bars",
            per="1m",
            colors={"sent": "green", "dropped": "red"},
        ),
        states_panel(
            "Scrapes",
            [Query("min by (job) (up)", "{{job}}")],
            "Whether Prometheus reaches what it watches. Normal: yes everywhere.",
            names={"1": ("up", "green"), "0": ("down", "red")},
            anchor="pipelinemetricsmissing",
        ),
    ],
)

PIPELINE = Board(
    name="pipeline",
    title="Vitrina: pipeline",
    about="Do trainings come to their end, on what data, how long, and does their result pass the gate?",
    variables=[TRAINED],
    marks=[ALERTS, TRAININGS],
    rows=[PRESENT, STEPS, DATA, RESULT, MACHINES],
    since="now-7d",
    refresh="1m",
)
