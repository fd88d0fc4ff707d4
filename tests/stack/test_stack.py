"""The composed stack, from an empty machine to a second champion, looked at from outside as its users do."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml
from composed_stack import Stack
from container_engine import ROOT
from waiting import wait

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(3600)]
EARLIER = "2015-07-01"


def written_rules() -> list[dict[str, Any]]:
    files = (ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml")
    return [rule for path in files for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture(scope="module")
def before(stack: Stack, client: httpx.Client) -> httpx.Response:
    """The first answer, before anything was trained."""
    return stack.recommend(client)


@dataclass(frozen=True)
class FirstTraining:
    """`started` is when the service's containers were started, before the first champion; `alerts` is what Alertmanager
    told of the service that was stopped and started during the training."""

    run: str
    started: dict[str, str]
    alerts: list[str]


@pytest.fixture(scope="module")
def trained(stack: Stack, before: httpx.Response) -> FirstTraining:
    """A first training on everything that was seeded. It needs no service, so the service is away for its beginning.

    On a slow machine the service was away for a minute already when the stack was started.
    """

    def alerts() -> list[str]:
        return stack.messages("ServiceDown")

    wait(lambda: len(alerts()) % 2 == 0, 400, stack.said, pause=2)
    so_far = len(alerts())
    with stack.engine.stage("first training"):
        run = stack.begin_training()
        with stack.engine.stage("  service stopped until the alert"):
            stack.compose("stop", "app")
            wait(lambda: len(alerts()) == so_far + 1, 400, stack.said, pause=2)
        stack.compose("start", "app")
        started = stack.started_at("app")
        with stack.engine.stage("  service started until the alert is over"):
            wait(lambda: len(alerts()) == so_far + 2, 400, stack.said, pause=2)
        stack.finish_training(run)
    return FirstTraining(run, started, alerts()[so_far:])


@pytest.fixture(scope="module")
def served(stack: Stack, trained: FirstTraining, client: httpx.Client) -> httpx.Response:
    """The first answer of the new champion."""
    with stack.engine.stage("first champion served"):
        wait(lambda: stack.recommend(client).status_code == 200)
    return stack.recommend(client)


def test_before_the_first_training_the_service_says_what_to_do(before: httpx.Response) -> None:
    assert before.status_code == 503
    assert "vitrina train storefront" in before.json()["error"]["remedy"]
    assert before.headers["x-request-id"]


def test_every_service_is_healthy_and_every_one_shot_is_done(stack: Stack) -> None:
    found = {one["Service"]: (one["State"], one["Health"], one["ExitCode"]) for one in stack.containers()}
    done = {"migrate", "seed", "airflow-init", "s3-init"}
    assert {found[name] for name in done} == {("exited", "", 0)}
    assert {found[name][:2] for name in set(found) - done} == {("running", "healthy")}


def test_nothing_runs_as_root(stack: Stack) -> None:
    users = {
        service: stack.compose("exec", "-T", service, "sh", "-c", "grep ^Uid: /proc/1/status /proc/self/status")
        for service in (
            *("proxy", "app", "mlflow", "postgres", "s3", "airflow-scheduler"),
            *("prometheus", "alertmanager", "graphite", "metrics"),
        )
    }
    assert [service for service, said in users.items() if "self/status:Uid:\t0" in said] == []


def test_a_training_from_airflow_makes_the_champion_that_mlflow_names(stack: Stack, trained: FirstTraining) -> None:
    assert stack.champion() == "1"


def test_the_champion_is_served_with_no_restart(stack: Stack, trained: FirstTraining, served: httpx.Response) -> None:
    answer = served.json()
    assert answer["model_version"] == "1"
    assert len(set(answer["recs"])) == 5
    assert answer["source"] in ("precomputed", "history")
    assert stack.started_at("app") == trained.started


def test_telegram_was_told_once(stack: Stack, trained: FirstTraining) -> None:
    wait(lambda: len(stack.messages("storefront: version 1")) > 0, pause=2)
    messages = stack.messages("storefront: version 1")
    assert len(messages) == 1
    assert "version 1 is the new champion" in messages[0]
    assert stack.settings["AIRFLOW_ADMIN_PASSWORD"] not in messages[0]


def test_telegram_was_told_that_the_service_was_away_and_that_it_is_back(stack: Stack, trained: FirstTraining) -> None:
    away, back = trained.alerts
    assert away.startswith("🔴 <b>The service does not answer</b>\nServiceDown.")
    assert "docs/monitor.md#servicedown" in away
    assert back.startswith("Over: <b>The service does not answer</b>")
    assert "Alerts are sent to the Telegram chat" in stack.compose("logs", "alertmanager")
    assert stack.settings["VITRINA_TELEGRAM_TOKEN"] not in stack.compose("logs", "alertmanager", "prometheus")


def test_prometheus_judges_every_rule_and_scrapes_every_part(stack: Stack, trained: FirstTraining) -> None:
    groups = stack.prometheus_api("rules")["groups"]
    judged = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert set(judged) == {rule.get("alert", rule.get("record")) for rule in written_rules()}
    assert {rule["health"] for rule in judged.values()} == {"ok"}
    assert len(stack.prometheus_api("alertmanagers")["activeAlertmanagers"]) == 1
    wait(lambda: stack.prometheus("up == 0") == [], otherwise=lambda: str(stack.prometheus("up == 0")), pause=2)
    up = {one["metric"]["job"] for one in stack.prometheus("up == 1")}
    assert up == {"app", "pipeline", "prometheus", "alertmanager"}


def test_the_exporter_tells_of_the_training(stack: Stack, trained: FirstTraining) -> None:
    def one(query: str) -> float:
        (found,) = stack.prometheus(query)
        return float(found["value"][1])

    succeeded = 'vitrina_training_succeeded_timestamp_seconds{scenario="storefront"}'
    wait(lambda: stack.prometheus(succeeded) != [], pause=1)
    assert one('vitrina_step_runs_total{step="publish", outcome="done"}') == 1
    assert one('vitrina_gate_outcomes_total{scenario="storefront", outcome="promoted"}') == 1
    assert one("vitrina_state_up") == 1
    assert one("min(vitrina_disk_free_bytes)") > 0
    assert 0 < one('vitrina_candidate_recall{source="union"}') <= 1
    assert one(succeeded) <= time.time()
    assert one("count(vitrina_disk_size_bytes)") == 4


def test_graphite_has_every_day_of_the_storefront(stack: Stack, trained: FirstTraining) -> None:
    (last_day,) = stack.prometheus("vitrina_day_timestamp_seconds")
    wait(lambda: stack.graphite("vitrina.storefront.day.views", "20000101") != {}, otherwise=stack.said, pause=2)
    days = stack.graphite("vitrina.storefront.day.views", "20000101")["vitrina.storefront.day.views"]
    (views,) = stack.prometheus('vitrina_day_events{kind="view"}')
    assert days[-1] == (float(views["value"][1]), int(float(last_day["value"][1])))
    assert [after[1] - before[1] for before, after in itertools.pairwise(days)] == [86400] * (len(days) - 1)
    result = stack.airflow.result("storefront", trained.run, "prepare")
    assert [value for value, _ in days] == [day["views"] for day in result["days"]]


def test_the_proxy_hands_on_what_it_must(stack: Stack, served: httpx.Response, client: httpx.Client) -> None:
    url = stack.url("VITRINA_PORT")
    slash = client.post(f"{url}/recommendations/?user_id=1&k=5", headers={"X-Request-ID": "from-the-shop"})
    assert slash.status_code == 200
    assert slash.headers["x-request-id"] == "from-the-shop"
    assert client.get(f"{url}/models").status_code == 401
    bearer = {"Authorization": f"Bearer {stack.settings['VITRINA_ADMIN_TOKEN']}"}
    assert client.get(f"{url}/models", headers=bearer).json()["models"][0]["model_version"] == "1"
    refused = client.post(f"{url}/recommendations?user_id=none", headers={"X-Request-ID": "followed"})
    assert refused.status_code == 422
    for who in ("proxy", "app"):
        said = stack.compose("logs", "--no-log-prefix", who).splitlines()
        lines = [json.loads(line) for line in said if line.startswith("{")]
        assert [one["status"] for one in lines if one.get("request_id") == "followed"] == [422]
    assert all(line.startswith("{") for line in said if line), "every line of the service is JSON"
    large = client.post(f"{url}/recommendations?user_id=1", content=b"x" * 2_000_000)
    assert large.status_code == 413
    assert "remedy" in large.json()["error"]


def test_a_second_replica_is_found_and_scraped(stack: Stack, served: httpx.Response, client: httpx.Client) -> None:
    with stack.engine.stage("second replica"):
        first = stack.started_at("app")
        stack.up("--no-recreate", "--scale", "app=2", "app")
        up = 'count(up{job="app"} == 1)'
        wait(lambda: [one["value"][1] for one in stack.prometheus(up)] == ["2"], pause=1)
        for _ in range(200):
            assert stack.recommend(client).status_code == 200
        asked = 'sum by (instance) (vitrina_http_requests_total{route="/recommendations", status="200"}) > 0'
        wait(lambda: len(stack.prometheus(asked)) == 2, pause=1)
        served_by = stack.prometheus('vitrina_model_info{scenario="storefront", version="1"} > 0')
    assert len(served_by) == 2, "each replica serves the champion"
    assert first.items() <= stack.started_at("app").items()


def test_a_replica_may_die_under_load(stack: Stack, served: httpx.Response) -> None:
    with stack.asked_all_the_time() as seen:
        wait(lambda: seen["1"] > 50)
        killed = max(stack.started_at("app"))
        stack.engine.run(["docker", "kill", killed])
        so_far = seen["1"]
        wait(lambda: seen["1"] > so_far + 100)
        stack.up("--no-recreate", "--scale", "app=1", "app")
        so_far = seen["1"]
        wait(lambda: seen["1"] > so_far + 100)
    assert set(seen) == {"1"}


def test_the_next_champion_takes_over_between_two_requests(
    stack: Stack, trained: FirstTraining, served: httpx.Response
) -> None:
    with stack.engine.stage("second training"), stack.asked_all_the_time(pause=0.1) as seen:
        stack.train(as_of=EARLIER, force=True)
        wait(lambda: seen["2"] > 10)
    assert stack.champion() == "2"
    assert set(seen) == {"1", "2"}
    assert trained.started.items() <= stack.started_at("app").items()


def test_a_rollback_takes_back_the_champion(stack: Stack, client: httpx.Client) -> None:
    assert stack.vitrina("rollback", "storefront")["champion"] == "1"
    wait(lambda: stack.recommend(client).json()["model_version"] == "1")


def test_what_is_seeded_twice_is_there_once(stack: Stack) -> None:
    first = stack.vitrina("events")
    stack.compose("run", "--rm", "-T", "seed")
    assert stack.vitrina("events") == first


def test_what_was_backed_up_comes_back_on_an_empty_machine(
    stack: Stack, served: httpx.Response, client: httpx.Client
) -> None:
    folder = stack.folder / "backup"
    with stack.engine.stage("backup"), stack.asked_all_the_time(pause=0.1) as seen:
        stack.run("sh", "stack/backup.sh", str(folder))
    assert set(seen) == {"1"}, "the service answers during a backup"
    with stack.engine.stage("restore"):
        stack.compose("down", "--volumes")
        stack.run("sh", "stack/restore.sh", str(folder))
        stack.up("proxy")
    wait(lambda: stack.recommend(client).status_code == 200)
    answer = stack.recommend(client).json()
    assert (answer["model_version"], answer["source"]) == ("1", served.json()["source"])
    assert stack.champion() == "1"


def test_down_ends_everything_and_keeps_the_data(stack: Stack) -> None:
    label = ["--quiet", "--filter", f"label=com.docker.compose.project={stack.project}"]

    def volumes() -> set[str]:
        return set(stack.engine.run(["docker", "volume", "ls", *label]).split())

    before = volumes()
    assert {f"{stack.project}_{name}" for name in ("postgres", "s3", "serving")} <= before
    stack.compose("down")
    assert stack.engine.run(["docker", "ps", "--all", *label]).split() == []
    assert volumes() == before
