"""Starts the service: uvicorn for one worker, gunicorn with uvicorn workers for several.

Both finish the requests that are under way on SIGINT and SIGTERM. With several workers the metrics are kept in files
under a folder of this start, so that any worker can tell the sum; it is removed at the end.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import vitrina
from app.checked_settings import check
from app.settings import Settings
from vitrina.telemetry import logs

GRACE_SECONDS = 30
MakeApp = Callable[[Settings], Any]


def run(
    settings: Settings, host: str = "127.0.0.1", port: int = 8000, workers: int = 1, make_app: MakeApp | None = None
) -> None:
    """Serves until a signal ends it. `make_app` is called in each worker; without it, `app.main.create_app`.
    `ConfigError` before anything is started for settings that cannot be."""
    make_app = make_app or _create_app
    kept = (settings.admin_token, settings.s3_secret_key, settings.token_secrets)
    hidden = [part.strip() for one in kept if one is not None for part in one.get_secret_value().split(",")]
    logs.configure(os.environ, terminal=sys.stderr.isatty(), secrets=hidden)
    # when it is not set, uvicorn would believe its own machine
    trusted = os.environ.get("FORWARDED_ALLOW_IPS", "").strip()
    check(settings, trusted=trusted)
    os.environ.pop("WEB_CONCURRENCY", None)  # uvicorn and gunicorn would take a platform's word before `workers`
    if not os.access(
        Path(vitrina.__file__).parent, os.W_OK
    ):  # numba keeps its machine code there, else it needs a home
        os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.home.absolute() / "numba"))
    if workers == 1:
        _run_one(make_app(settings), host, port, trusted)
    else:
        with tempfile.TemporaryDirectory(prefix="vitrina-metrics-") as folder:
            shared = settings.model_copy(update={"metrics_folder": settings.metrics_folder or Path(folder)})
            _run_several(lambda: make_app(shared), f"{host}:{port}", workers, trusted)


def _create_app(settings: Settings) -> Any:
    from app.main import create_app

    return create_app(settings)


def _run_one(app: Any, host: str, port: int, trusted: str) -> None:
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        forwarded_allow_ips=trusted,
        log_config=None,  # its records are lines of ours
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _run_several(load: Callable[[], Any], bind: str, workers: int, trusted: str) -> None:
    from gunicorn.app.base import BaseApplication
    from gunicorn.glogging import Logger
    from uvicorn_worker import UvicornWorker

    class Records(Logger):
        """gunicorn's records go where all others go; it would write them in a form of its own."""

        def setup(self, cfg: Any) -> None:
            self.error_log.propagate = True

    class Worker(UvicornWorker):
        """Ends on SIGQUIT too: gunicorn sends it when it was interrupted itself, and uvicorn alone would not listen."""

        CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
            "loop": "uvloop",
            "http": "httptools",
            "access_log": False,
            "forwarded_allow_ips": trusted,
        }

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            uvicorn = logging.getLogger("uvicorn.error")  # made gunicorn's a moment ago
            uvicorn.setLevel(logging.NOTSET)
            uvicorn.propagate = True

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            signal.raise_signal(signal.SIGTERM)

    class Server(BaseApplication):
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": bind,
                "workers": workers,
                "worker_class": Worker,
                "logger_class": Records,
                "graceful_timeout": GRACE_SECONDS,
                "timeout": 120,
                "keepalive": 5,
                "control_socket_disable": True,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return load()

    Server().run()
