"""What is tracked, packaged, pinned and written about: the repository as a newcomer's machine meets it."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.settings import Settings
from vitrina.scenarios import SCENARIOS, scenario
from vitrina.scenarios.scenario import Setting

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENT_FILES = ("requirements.txt", "requirements-serve.txt", "requirements-dev.txt")
EXTRAS_OF_FILE = {
    "requirements.txt": ("serve", "pipeline", "traces"),
    "requirements-serve.txt": ("serve", "traces"),
    "requirements-dev.txt": ("serve", "pipeline", "traces", "dev"),
}
STRAY = re.compile(r"(^|/)(uv\.lock|\.env|mlruns/.*|catboost_info/.*|[^/]*\.(pkl|pickle|db|sqlite|whl))$")
MACHINE_PATH = re.compile(r"(?<![\w.>}\])*~-])/(root|home|work|tmp)/\w")
# Inside an image a path belongs to the image, not to a machine.
IMAGE_FILE = re.compile(r"(^|/)(Dockerfile[^/]*|docker-compose[^/]*\.yaml|nginx\.conf)$|^stack/")
ADDRESS = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host|(^|\s)-[if]\s", re.MULTILINE)
SETTING = re.compile(r"\bVITRINA_[A-Z][A-Z0-9_]*[A-Z]\b")
MARKDOWN_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
CODE_BLOCK = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)

IMPORT_WITHOUT = """
import importlib, sys
hidden = set(sys.argv[1].split(","))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


@cache
def tracked() -> tuple[str, ...]:
    """Paths under version control; without a checkout (an unpacked archive) there is nothing to judge."""
    if not (ROOT / ".git").exists():
        pytest.skip("NOT A CHECKOUT: the tracked files cannot be listed here")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return tuple(name for name in names if name and (ROOT / name).is_file())


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def declared(extras: tuple[str, ...]) -> list[Requirement]:
    """Requirements of the core and the named extras."""
    meta = project()["project"]
    texts = [*meta["dependencies"], *(text for extra in extras for text in meta["optional-dependencies"][extra])]
    return [Requirement(text) for text in texts]


def pins(name: str) -> dict[str, str]:
    """Distribution -> version of a compiled file."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def test_the_package_list_is_what_is_on_disk() -> None:
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("vitrina", "app")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(project()["tool"]["setuptools"]["packages"]) == on_disk


def test_nothing_is_tracked_that_a_machine_makes_or_a_secret_lives_in() -> None:
    assert [name for name in tracked() if STRAY.search(name)] == []


def test_nothing_is_tracked_from_outside_the_project() -> None:
    assert [name for name in tracked() if (ROOT / name).is_symlink()] == []
    assert not (ROOT / "airflow" / "__init__.py").exists(), "it would hide the installed package airflow"


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for name in tracked():
        if name.startswith("tests/") or IMAGE_FILE.search(name):
            continue
        text = (ROOT / name).read_bytes().decode("utf-8", errors="replace")
        found += [f"{name}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize("name", REQUIREMENT_FILES)
def test_requirement_files_name_no_address(name: str) -> None:
    assert ADDRESS.findall((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", REQUIREMENT_FILES)
def test_requirement_files_hold_what_pyproject_asks_for(name: str) -> None:
    pinned = pins(name)
    for requirement in declared(EXTRAS_OF_FILE[name]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}: run `make requirements`"
        assert requirement.specifier.contains(version), f"{requirement} against {version} in {name}"


@pytest.mark.parametrize("name", REQUIREMENT_FILES)
def test_uv_and_pip_get_the_same_versions(name: str) -> None:
    for_uv = dict(text.split("==") for text in project()["tool"]["uv"]["constraint-dependencies"])
    assert {package: for_uv.get(package) for package in pins(name)} == pins(name)


def test_the_service_is_installed_without_the_training_stack() -> None:
    heavy = {"mlflow", "mlflow-skinny", "implicit", "torch", "ibis-framework", "duckdb", "optuna", "matplotlib"}
    assert heavy.isdisjoint(pins("requirements-serve.txt"))


def modules_under(top: str) -> list[str]:
    """Every module of a package, but for those that run something when they are imported."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / top).rglob("*.py"))
    return [".".join(path.parts) for path in paths if path.name not in {"__init__", "__main__", "env", "pyfunc_code"}]


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("requirements-serve.txt", modules_under("app")),
        ("requirements.txt", [*modules_under("vitrina"), "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"]),
    ],
)
def test_what_is_installed_for_a_use_is_enough_to_import_it(name: str, modules: list[str]) -> None:
    pinned = {"vitrina", *pins(name)}
    hidden = {
        top
        for top, distributions in importlib.metadata.packages_distributions().items()
        if pinned.isdisjoint(canonicalize_name(distribution) for distribution in distributions)
    }
    command = [sys.executable, "-c", IMPORT_WITHOUT, ",".join(hidden), *modules]
    process = subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 0, process.stderr


def test_every_imported_package_is_declared() -> None:
    names = {
        canonicalize_name(requirement.name)
        for requirement in declared(("serve", "pipeline", "traces", "spark", "reviews"))
    }
    providers = importlib.metadata.packages_distributions()
    undeclared = set()
    for path in (path for top in ("vitrina", "app") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops = {(node.module or "").partition(".")[0]}
            else:
                continue
            for top in tops - {"vitrina", "app"} - set(sys.stdlib_module_names):
                distributions = {canonicalize_name(found) for found in providers.get(top, [top])}
                if distributions.isdisjoint(names):
                    undeclared.add(f"{path.relative_to(ROOT)}:{node.lineno}: {top}")
    assert undeclared == set()


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    sources = [
        ROOT / "tests" / "conftest.py",
        ROOT / "docker-compose.yaml",
        ROOT / "run_mimic_load.py",
        ROOT / "test_recsys.py",
        ROOT / "tests" / "servers" / "container_engine.py",
        *(path for top in ("vitrina", "app", "airflow") for path in (ROOT / top).rglob("*.py")),
    ]
    used = {f"VITRINA_{field.upper()}" for field in Settings.model_fields}
    used |= {scenario(name).settings_prefix + setting for name in SCENARIOS for setting in get_args(Setting)}
    used |= {name for path in sources for name in SETTING.findall(path.read_text(encoding="utf-8"))}
    assert set(SETTING.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8"))) == used


def test_relative_links_of_the_pages_lead_somewhere() -> None:
    broken = []
    for name in (name for name in tracked() if name.endswith(".md")):
        text = CODE_BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))
        for target in MARKDOWN_LINK.findall(text):
            if "://" in target or target.startswith(("#", "mailto:")):
                continue
            if not ((ROOT / name).parent / target.partition("#")[0]).exists():
                broken.append(f"{name}: {target}")
    assert broken == []
