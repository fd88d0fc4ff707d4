import subprocess
import sys
from pathlib import Path

import pytest

from vitrina.errors import ConfigError, RegistryError
from vitrina.registry.reader import MlflowRestReader, MlflowSqliteReader, reader_for

HEAVY = ("mlflow", "implicit", "torch", "pandas", "pyarrow", "sqlalchemy", "catboost")


@pytest.mark.parametrize("module", ["vitrina.registry.reader", "vitrina.registry.mlflow_registry"])
def test_nothing_heavy_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_the_reader_follows_the_address(tmp_path: Path) -> None:
    assert isinstance(reader_for("https://mlflow.example:5000/prefix/", "m"), MlflowRestReader)
    assert isinstance(reader_for(f"sqlite:///{tmp_path}/mlflow.db", "m"), MlflowSqliteReader)
    assert reader_for((tmp_path / "plain files").as_uri(), "m").champion() is None
    for uri in ("ftp://x", "sqlite://", "sqlite:///", "mlflow.db", ""):
        with pytest.raises(ConfigError, match="registry address"):
            reader_for(uri, "m")


def test_a_database_that_is_not_there_yet_has_no_champion(tmp_path: Path) -> None:
    reader = reader_for(f"sqlite:///{tmp_path}/mlflow.db", "m")
    assert reader.champion() is None
    with pytest.raises(RegistryError, match="no version '1'"):
        reader.fetch("1", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database" * 100)
    with pytest.raises(RegistryError, match=r"mlflow\.db: not readable"):
        reader_for(f"sqlite:///{tmp_path}/mlflow.db", "m").champion()
