"""Where relational work runs. Tables go in and out as Ibis expressions; the engine says what executes them."""

from vitrina.engine.local import LocalEngine
from vitrina.engine.protocol import Engine

__all__ = ["Engine", "LocalEngine"]
