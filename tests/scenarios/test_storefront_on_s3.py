"""The storefront over S3: every step as on a machine of its own, then the service, sharing nothing but addresses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from vitrina.cli import main
from vitrina.scenarios.storefront import SCENARIO
from vitrina.storage.objects import Objects
from vitrina.storage.opening import access_from, objects_for

pytestmark = pytest.mark.slow

FIRST = 1_430_611_200_000


@pytest.fixture
def vitrina(s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Runs `vitrina ... --json` in a state folder of its own each time, and gives what it printed."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VITRINA_OBJECTS_URI", f"s3://{s3.bucket('objects')}/vitrina")
    monkeypatch.setenv("VITRINA_EVENTS_URI", f"s3://{s3.bucket('events')}/storefront")
    monkeypatch.setenv("VITRINA_REGISTRY_URI", f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}")
    (tmp_path / "registry").mkdir()
    before = signal.getsignal(signal.SIGINT)

    def run(*arguments: object, code: int = 0) -> Any:
        home = tmp_path / "homes" / "-".join(str(one).strip("-/").replace("/", "_")[-30:] for one in arguments)
        monkeypatch.setenv("VITRINA_HOME", str(home))
        out = io.StringIO()
        ended = 0
        with contextlib.redirect_stdout(out):
            monkeypatch.setattr(sys, "argv", ["vitrina", *map(str, arguments), "--json"])
            try:
                main()
            except SystemExit as how:
                ended = int(how.code or 0)
        assert ended == code, out.getvalue()
        return json.loads(out.getvalue())

    yield run
    signal.signal(signal.SIGINT, before)


def test_steps_and_service_share_only_addresses(
    vitrina: Callable[..., Any],
    world: Path,
    small_recipe: Callable[[Objects], None],
    s3,
    tmp_path: Path,
) -> None:
    objects = objects_for(os.environ["VITRINA_OBJECTS_URI"], cache=tmp_path / "cache", access=access_from(os.environ))
    small_recipe(objects)
    uploaded = vitrina("upload", "--data", world, "--to", os.environ["VITRINA_EVENTS_URI"])
    listed = vitrina("events")
    assert listed["fingerprint"] == uploaded["fingerprint"]
    assert listed["newest_day"] == listed["days"][-1] == uploaded["newest_day"]

    results = {step.name: vitrina("step", "storefront", step.name) for step in SCENARIO.steps}
    assert results["extract"]["fingerprint"] == listed["fingerprint"]
    assert results["prepare"]["outputs"] == {"prepared": objects.uri("storefront/prepared")}
    assert results["validate"]["rows_in"] == uploaded["rows"]
    assert results["promote"]["promoted"]

    early = vitrina("step", "storefront", "extract", "--as-of", listed["days"][10])
    assert (results["extract"]["event_days"], early["event_days"]) == (len(listed["days"]), 10)

    user = (world / "events.csv").read_text().splitlines()[-1].split(",")[1]
    settings = Settings(home=tmp_path / "service", poll_seconds=0.2)
    answers = [ask(settings, f"/recommendations?user_id={user}&k=5")]
    s3.stop()
    try:
        answers.append(ask(settings, f"/recommendations?user_id={user}&k=5"))
    finally:
        s3.start()
    for answer in answers:
        assert answer["lists_version"] == results["publish"]["version"]
        assert answer["model_version"] == results["register"]["version"]
        assert len(set(answer["recs"])) == 5
        assert answer["source"] == "precomputed"
    assert answers[0]["recs"] == answers[1]["recs"]

    bad = vitrina("events", "--data", "s3://no-such-bucket/x", code=2)
    assert "no-such-bucket" in bad["error"]["reason"]


def ask(settings: Settings, path: str) -> dict[str, Any]:
    """One answer of a service that is started and stopped for it."""
    app = create_app(settings)

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
        ):
            return await client.post(path)

    answer = anyio.run(run)
    assert answer.status_code == 200, answer.text
    return answer.json()
