"""`python -m benchmarks.subjects bare|unmeasured PORT`: what Vitrina's service is compared with, under the same server
settings.

bare: FastAPI routes with two typed query parameters, or a typed JSON body, and a constant answer. unmeasured: Vitrina's
service without metrics, request ids and log lines.
"""

from __future__ import annotations

import sys
from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel
from starlette.middleware.errors import ServerErrorMiddleware

from app.main import create_app
from app.measured import Measured
from app.server import run
from app.settings import Settings
from vitrina.telemetry.cells import Cells
from vitrina.telemetry.metrics import ScenarioMetrics, ServiceMetrics
from vitrina.telemetry.names import Reason

CONSTANT = b'{"recs":[1001,1002,1003,1004,1005,1006,1007,1008,1009,1010],"model_version":"1"}'


class Cart(BaseModel):
    product_list: list[str]
    n: int = 7


def bare(_: Settings) -> FastAPI:
    """The floor that a framework sets: it reads two integers, or a cart, and answers the same bytes to everybody."""
    app = FastAPI()
    answer = Response(CONSTANT, media_type="application/json")

    @app.post("/recommendations")
    async def recommendations(user_id: int, k: int = 10) -> Any:
        return answer

    @app.post("/send_data")
    async def send_data(cart: Cart) -> Any:
        return answer

    @app.get("/readyz")
    async def ready() -> Any:
        return answer

    return app


class NothingOfScenario(ScenarioMetrics):
    """Counts no answer."""

    def __init__(self, scenario: str) -> None:
        super().__init__(Cells(), scenario)
        self.answer = lambda source, k, cold, items: None

    def more_items(self, source: str, items: int) -> None:
        pass

    def fallback(self, reason: Reason) -> None:
        pass


class Nothing(ServiceMetrics):
    """Counts no request."""

    def of(self, scenario: str) -> ScenarioMetrics:
        return NothingOfScenario(scenario)

    def error(self, kind: str) -> None:
        pass


def unmeasured(settings: Settings) -> FastAPI:
    """The service with counters that count nothing, and without the wrapper that times, names and logs requests; what
    that does about faults is the framework's own layer's to do again.
    """
    app = create_app(settings, metrics=Nothing())
    app.user_middleware = [one for one in app.user_middleware if str(one.cls) != str(Measured)]
    app.add_middleware(ServerErrorMiddleware)
    return app


def main() -> None:
    """Serves until a signal ends it."""
    name, port = sys.argv[1:]
    run(Settings(), port=int(port), make_app={"bare": bare, "unmeasured": unmeasured}[name])


if __name__ == "__main__":
    main()
