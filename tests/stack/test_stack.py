"""The composed stack, from an empty machine to a second champion, looked at from outside as its users do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from composed_stack import Stack
from waiting import wait

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(1800)]
EARLIER = "2015-07-01"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture(scope="module")
def before(stack: Stack, client: httpx.Client) -> tuple[httpx.Response, dict[str, str]]:
    """The first answer, and when the service's containers were started, before anything was trained."""
    return stack.recommend(client), stack.started_at("app")


@pytest.fixture(scope="module")
def trained(stack: Stack, before: tuple[httpx.Response, dict[str, str]]) -> str:
    """The run of a first training on everything that was seeded."""
    with stack.engine.stage("first training"):
        return stack.train()


@pytest.fixture(scope="module")
def served(stack: Stack, trained: str, client: httpx.Client) -> httpx.Response:
    """The first answer of the new champion."""
    with stack.engine.stage("first champion served"):
        wait(lambda: stack.recommend(client).status_code == 200, 60)
    return stack.recommend(client)


def test_before_the_first_training_the_service_says_what_to_do(
    before: tuple[httpx.Response, dict[str, str]],
) -> None:
    answer, _ = before
    assert answer.status_code == 503
    assert "vitrina train storefront" in answer.json()["error"]["remedy"]
    assert answer.headers["x-request-id"]


def test_every_service_is_healthy_and_every_one_shot_is_done(stack: Stack) -> None:
    found = {one["Service"]: (one["State"], one["Health"], one["ExitCode"]) for one in stack.containers()}
    done = {"migrate", "seed", "airflow-init", "s3-init"}
    assert {found[name] for name in done} == {("exited", "", 0)}
    assert {found[name][:2] for name in set(found) - done} == {("running", "healthy")}


def test_nothing_runs_as_root(stack: Stack) -> None:
    users = {
        service: stack.compose("exec", "-T", service, "sh", "-c", "grep ^Uid: /proc/1/status /proc/self/status")
        for service in ("proxy", "app", "mlflow", "postgres", "s3", "prometheus", "airflow-scheduler")
    }
    assert [service for service, said in users.items() if "self/status:Uid:\t0" in said] == []


def test_a_training_from_airflow_makes_the_champion_that_mlflow_names(stack: Stack, trained: str) -> None:
    assert stack.champion() == "1"


def test_the_champion_is_served_with_no_restart(
    stack: Stack, before: tuple[httpx.Response, dict[str, str]], served: httpx.Response
) -> None:
    answer = served.json()
    assert answer["model_version"] == "1"
    assert len(set(answer["recs"])) == 5
    assert answer["source"] in ("precomputed", "history")
    assert stack.started_at("app") == before[1]


def test_telegram_was_told_once(stack: Stack, trained: str) -> None:
    wait(lambda: len(stack.messages()) > 0, 120, pause=2)
    messages = stack.messages()
    assert len(messages) == 1
    assert "version 1 is the new champion" in messages[0]
    assert stack.settings["AIRFLOW_ADMIN_PASSWORD"] not in messages[0]


def test_the_proxy_hands_on_what_it_must(stack: Stack, served: httpx.Response, client: httpx.Client) -> None:
    url = stack.url("VITRINA_PORT")
    slash = client.post(f"{url}/recommendations/?user_id=1&k=5", headers={"X-Request-ID": "from-the-shop"})
    assert slash.status_code == 200
    assert slash.headers["x-request-id"] == "from-the-shop"
    assert client.get(f"{url}/models").status_code == 401
    bearer = {"Authorization": f"Bearer {stack.settings['VITRINA_ADMIN_TOKEN']}"}
    assert client.get(f"{url}/models", headers=bearer).json()["models"][0]["model_version"] == "1"
    large = client.post(f"{url}/recommendations?user_id=1", content=b"x" * 2_000_000)
    assert large.status_code == 413
    assert "remedy" in large.json()["error"]


def test_a_second_replica_is_found_and_scraped(stack: Stack, served: httpx.Response, client: httpx.Client) -> None:
    with stack.engine.stage("second replica"):
        first = stack.started_at("app")
        stack.up("--no-recreate", "--scale", "app=2", "app")
        up = 'count(up{job="app"} == 1)'
        wait(lambda: [one["value"][1] for one in stack.prometheus(up)] == ["2"], 60, pause=1)
        for _ in range(200):
            assert stack.recommend(client).status_code == 200
        asked = 'sum by (instance) (vitrina_http_requests_total{route="/recommendations", status="200"}) > 0'
        wait(lambda: len(stack.prometheus(asked)) == 2, 60, pause=1)
        served_by = stack.prometheus('vitrina_model_info{version="1"} > 0')
    assert len(served_by) == 2, "each replica serves the champion"
    assert first.items() <= stack.started_at("app").items()


def test_a_replica_may_die_under_load(stack: Stack, served: httpx.Response) -> None:
    with stack.asked_all_the_time() as seen:
        wait(lambda: seen["1"] > 50)
        killed = max(stack.started_at("app"))
        stack.engine.run(["docker", "kill", killed])
        so_far = seen["1"]
        wait(lambda: seen["1"] > so_far + 100, 60)
        stack.up("--no-recreate", "--scale", "app=1", "app")
        so_far = seen["1"]
        wait(lambda: seen["1"] > so_far + 100, 60)
    assert set(seen) == {"1"}


def test_the_next_champion_takes_over_between_two_requests(
    stack: Stack, before: tuple[httpx.Response, dict[str, str]], served: httpx.Response
) -> None:
    with stack.engine.stage("second training"), stack.asked_all_the_time(pause=0.1) as seen:
        stack.train(as_of=EARLIER, force=True)
        wait(lambda: seen["2"] > 10, 60)
    assert stack.champion() == "2"
    assert set(seen) == {"1", "2"}
    assert before[1].items() <= stack.started_at("app").items()


def test_a_rollback_takes_back_the_champion(stack: Stack, client: httpx.Client) -> None:
    vitrina = ("exec", "-T", "airflow-scheduler", "/opt/vitrina/bin/vitrina")
    said = stack.compose(*vitrina, "rollback", "storefront", "--json")
    assert json.loads(said.splitlines()[-1])["champion"] == "1"
    wait(lambda: stack.recommend(client).json()["model_version"] == "1", 60)


def test_what_is_seeded_twice_is_there_once(stack: Stack) -> None:
    vitrina = ("exec", "-T", "airflow-scheduler", "/opt/vitrina/bin/vitrina")
    first = stack.compose(*vitrina, "events", "--json")
    stack.compose("run", "--rm", "-T", "seed")
    assert stack.compose(*vitrina, "events", "--json") == first


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
    wait(lambda: stack.recommend(client).status_code == 200, 60)
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
