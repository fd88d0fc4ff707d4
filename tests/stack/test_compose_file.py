"""What docker-compose.yaml promises without being started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from container_engine import LEFT_OUT, OTHERS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
ONE_SHOT = {"migrate", "seed", "airflow-init", "s3-init"}
OURS = re.compile(r"vitrina/(app|airflow|mlflow):\$\{VITRINA_TAG:-dev\}")
PINNED = re.compile(r"[^:]+:v?\d+\.\d+(\.\d+)?[\w.-]*")
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?")
SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|FERNET_KEY)")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


@pytest.mark.parametrize("name", services())
def test_every_service_has_what_it_needs_to_be_left_alone(name: str) -> None:
    service = services()[name]
    assert OURS.fullmatch(service["image"]) or PINNED.fullmatch(service["image"]), service["image"]
    assert "mem_limit" in service
    assert "container_name" not in service
    assert "start_interval" not in service["healthcheck"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    for port in service.get("ports", []):
        assert port.startswith("${VITRINA_BIND:-127.0.0.1}:")


def test_no_image_runs_as_root() -> None:
    for name, service in services().items():
        if match := OURS.fullmatch(service["image"]):
            folder = {"app": "app", "airflow": "airflow", "mlflow": "mlflow_server"}[match[1]]
            users = re.findall(r"^USER (\w+)", (ROOT / folder / "Dockerfile").read_text(), re.MULTILINE)
            assert users, name
            assert users[-1] not in ("root", "0"), name
        else:
            assert int(service["user"].partition(":")[0]) > 0, name


def test_every_one_shot_is_waited_for() -> None:
    waited = {
        other
        for service in services().values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert waited == ONE_SHOT


def test_no_secret_has_a_default_and_the_example_names_each_of_them() -> None:
    text = FILE.read_text()
    for name, rest in re.findall(r"\$\{([A-Z0-9_]+)([^}]*)\}", text):
        if SECRET.search(name):
            assert rest.startswith((":?", "?")), f"{name}{rest}"
    example = (ROOT / ".env.example").read_text()
    given = dict(line.split("=", 1) for line in example.splitlines() if re.match(r"[A-Z]", line))
    assert set(REQUIRED.findall(text)) <= set(given)
    assert {name: value for name, value in given.items() if SECRET.search(name) and value} == {}


def test_every_volume_that_is_named_is_used() -> None:
    document = yaml.safe_load(FILE.read_text())
    used = {
        re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", volume.rpartition(":/")[0].removesuffix(":ro"))
        for service in document["services"].values()
        for volume in (part.removesuffix(":ro") for part in service.get("volumes", []))
    }
    assert set(document["volumes"]) == {name for name in used if not name.startswith("./")}


def test_what_the_tests_override_is_little() -> None:
    override = yaml.safe_load((ROOT / "tests" / "stack" / "compose.test.yaml").read_text())["services"]
    assert set(override) - {"telegram"} <= set(services())
    assert {name for name, service in override.items() if "profiles" in service} == set(LEFT_OUT)
    for name, service in override.items():
        if name not in {"telegram", *LEFT_OUT}:
            assert set(service) == {"environment"}, name


def test_stand_ins_carry_the_tags_that_the_stack_asks_for() -> None:
    asked = {service["image"] for service in services().values() if not OURS.fullmatch(service["image"])}
    bases = re.findall(r"^FROM (apache/\S+)", (ROOT / "airflow" / "Dockerfile").read_text(), re.MULTILINE)
    assert {image for image, _ in OTHERS.values()} | set(LEFT_OUT.values()) == asked | set(bases)
