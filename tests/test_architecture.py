"""The shape of the library, read from its source: order of the stages, seams, clocks, sizes, public names."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "vitrina"

BASE = ("errors", "telemetry", "engine", "storage")
STAGES = (
    *("events", "features", "candidates", "ranking", "recommend", "evaluation", "registry", "serving", "scenarios"),
    *("accounts", "pipeline", "verbs", "cli"),
)
IBIS_ALLOWED = {"engine", "events", "features", "candidates"}
OUTSIDE = {"app", "airflow", "steps", "fastapi", "starlette"}
HEAVY = {"torch", "torch_geometric", "pyspark", "mlflow", "implicit"}
# Models from code: mlflow runs the first file of each pair, which alone imports the second.
RUN_BY_MLFLOW = {
    *("registry/pyfunc_code.py", "registry/pyfunc_model.py"),
    *("registry/pyfunc_propensity_code.py", "registry/pyfunc_propensity.py"),
    *("registry/pyfunc_companions_code.py", "registry/pyfunc_companions.py"),
}
CLOCKS_ALLOWED = {"cli.py", "verbs/users.py"}
LONGEST_FILE = 350

# `__all__` of each package. An empty one re-exports nothing, so importing one of its modules loads no other.
PUBLIC_NAMES: dict[str, tuple[str, ...]] = {
    "vitrina.accounts": (),
    "vitrina.candidates": (),
    "vitrina.engine": ("Engine", "LocalEngine"),
    "vitrina.evaluation": (),
    "vitrina.events": (),
    "vitrina.events.baskets": (),
    "vitrina.events.panels": (),
    "vitrina.events.synthetic_baskets": (),
    "vitrina.events.synthetic_panels": (),
    "vitrina.events.synthetic_shop": (),
    "vitrina.features": (),
    "vitrina.ranking": (),
    "vitrina.recommend": (),
    "vitrina.registry": (),
    "vitrina.scenarios": ("SCENARIOS", "Run", "Scenario", "Step", "scenario"),
    "vitrina.serving": (),
    "vitrina.storage": (),
    "vitrina.storage.migrations": (),
    "vitrina.storage.migrations.versions": (),
    "vitrina.telemetry": (),
    "vitrina.verbs": (),
}

MODULE_IN_STRING = re.compile(r"vitrina\.([a-z_]+)(\.\w+)*(:\w+)?")


class Import(NamedTuple):
    """One imported module, dotted and absolute, with where it stands."""

    module: str
    line: int
    at_import_time: bool


def library_files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def stage_of(path: Path) -> str:
    """Folder or module directly under vitrina/ that the file belongs to; "" for vitrina/__init__.py."""
    top = path.relative_to(LIBRARY).parts[0]
    return "" if top == "__init__.py" else top.removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
    return ".".join((*package, *((node.module,) if node.module else ())))


def imports_under(node: ast.AST, path: Path, *, at_import_time: bool) -> Iterator[Import]:
    """Every import below `node`: plain, from, relative, inside functions, and module paths kept in strings."""
    for child in ast.iter_child_nodes(node):
        runs = at_import_time and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            runs = False
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, runs) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = absolute(child, path)
            yield from (Import(f"{module}.{alias.name}", child.lineno, runs) for alias in child.names)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            named = MODULE_IN_STRING.fullmatch(child.value)
            if named and named[1] in (*BASE, *STAGES):
                yield Import(child.value.partition(":")[0], child.lineno, at_import_time=False)
        else:
            yield from imports_under(child, path, at_import_time=runs)


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    return tuple(imports_under(tree_of(path), path, at_import_time=True))


def allowed_stages(stage: str) -> set[str]:
    if not stage:
        return set()
    if stage in BASE:
        return set(BASE)
    return {*BASE, *STAGES[: STAGES.index(stage) + 1]}


def forward_imports(imports: Iterable[Import], stage: str) -> list[str]:
    """Those imports of the library that `stage` may not make, as "line N: module"."""
    allowed = allowed_stages(stage) | {"__version__"}
    return [
        f"line {line}: {module}"
        for module, line, _ in imports
        if module.startswith("vitrina.") and module.split(".")[1] not in allowed
    ]


def clock_readings(tree: ast.AST) -> list[str]:
    """Uses of the wall clock, called or only named; perf_counter and monotonic tell no time of day."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node.attr in {"now", "utcnow", "today"} or (owner == "time" and node.attr in {"time", "time_ns"}):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"line {node.lineno}: {alias.name}" for alias in node.names if alias.name in {"time", "time_ns"}]
    return found


def environment_readings(tree: ast.AST) -> list[str]:
    names = {"environ", "environb", "getenv", "putenv"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [f"line {node.lineno}: {alias.name}" for alias in node.names if alias.name in names]
    return found


def test_every_file_of_the_library_has_a_place_in_the_order() -> None:
    strangers = {stage_of(path) for path in library_files()} - {"", *BASE, *STAGES}
    assert not strangers, f"not in the order of the stages: {sorted(strangers)}"


def test_stages_import_only_themselves_earlier_stages_and_the_base() -> None:
    faults = {
        str(path.relative_to(ROOT)): forward_imports(imports_of(path), stage_of(path)) for path in library_files()
    }
    assert {name: found for name, found in faults.items() if found} == {}


def test_the_library_knows_neither_the_service_nor_the_scheduler() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in library_files()
        for module, line, _ in imports_of(path)
        if module.split(".")[0] in OUTSIDE
    ]
    assert found == []


def test_ibis_stays_where_tables_are_built() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in library_files()
        for module, line, _ in imports_of(path)
        if module.split(".")[0] == "ibis" and stage_of(path) not in IBIS_ALLOWED
    ]
    assert found == []


def test_heavy_packages_are_imported_inside_the_functions_that_need_them() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in library_files()
        for module, line, at_import_time in imports_of(path)
        if at_import_time and module.split(".")[0] in HEAVY and str(path.relative_to(LIBRARY)) not in RUN_BY_MLFLOW
    ]
    assert found == []


def test_no_module_takes_a_private_name_of_another() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in (*library_files(), *(ROOT / "app").rglob("*.py"))
        for module, line, _ in imports_of(path)
        if re.match(r"(vitrina|app)\..*\._[a-z]", module)
    ]
    assert found == []


def test_the_library_reads_no_environment() -> None:
    readings = {
        str(path.relative_to(ROOT)): environment_readings(tree_of(path))
        for path in library_files()
        if stage_of(path) != "cli"
    }
    assert {name: found for name, found in readings.items() if found} == {}


def test_the_library_reads_no_clock() -> None:
    readings = {
        str(path.relative_to(ROOT)): clock_readings(tree_of(path))
        for path in library_files()
        if path.relative_to(LIBRARY).as_posix() not in CLOCKS_ALLOWED
    }
    assert {name: found for name, found in readings.items() if found} == {}


def test_files_stay_short() -> None:
    folders = ("vitrina", "app", "airflow", "benchmarks", "mlflow_server", "requirements", "tests")
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in sizes.items() if lines > LONGEST_FILE} == {}


def test_every_package_has_its_public_names_pinned() -> None:
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in LIBRARY.glob("*/**/__init__.py")}
    assert set(PUBLIC_NAMES) == packages


@pytest.mark.parametrize("package", sorted(PUBLIC_NAMES))
def test_public_names_are_pinned_and_exist(package: str) -> None:
    module = importlib.import_module(package)
    assert tuple(sorted(getattr(module, "__all__", ()))) == tuple(sorted(PUBLIC_NAMES[package]))
    assert [name for name in PUBLIC_NAMES[package] if not hasattr(module, name)] == []


@pytest.mark.parametrize(
    ("place", "source", "expected"),
    [
        ("ranking/x.py", "from vitrina.serving import lists", 1),
        ("ranking/x.py", "def late():\n    from ..serving import lists", 1),
        ("ranking/x.py", "import vitrina.cli", 1),
        ("ranking/x.py", "STEP = 'vitrina.pipeline:train'", 1),
        ("ranking/x.py", "from vitrina import scenarios", 1),
        ("ranking/x.py", "from vitrina.candidates import als\nfrom .trees import Trees\nfrom vitrina import errors", 0),
        ("telemetry/x.py", "from vitrina.events import schema", 1),
        ("cli.py", "from vitrina import pipeline, __version__", 0),
    ],
)
def test_the_order_check_sees_planted_imports(place: str, source: str, expected: int) -> None:
    path = LIBRARY / place
    imports = imports_under(ast.parse(source), path, at_import_time=True)
    assert len(forward_imports(imports, stage_of(path))) == expected


@pytest.mark.parametrize(
    ("source", "clocks", "environments"),
    [
        ("import time\nSTAMP = time.time()", 1, 0),
        ("from time import time_ns", 1, 0),
        ("import datetime\ndef late(clock=datetime.datetime.now): ...", 1, 0),
        ("import time\nSTART = time.perf_counter() + time.monotonic()", 0, 0),
        ("import os\nHOME = os.environ['HOME'] + os.getenv('USER', '')", 0, 2),
        ("from os import environ, path", 0, 1),
    ],
)
def test_clock_and_environment_checks_see_planted_readings(source: str, clocks: int, environments: int) -> None:
    tree = ast.parse(source)
    assert (len(clock_readings(tree)), len(environment_readings(tree))) == (clocks, environments)
