"""What a worker serves of one scenario: one state at a time, swapped by one assignment.

A state never changes, so a request that took the old one finishes with the old one.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class ServedState(Protocol):
    """What a state tells of itself, whatever the scenario; as text it names the versions that are served."""

    @property
    def version(self) -> str:
        """The model's version in the registry."""
        ...

    @property
    def copy(self) -> str:
        """Name of the model's folder on this host."""
        ...

    @property
    def times(self) -> dict[str, int]:
        """Milliseconds since the epoch: `as_of`, what the model knows up to (not there when nothing tells it), and what
        else its metrics take."""
        ...


State = TypeVar("State", bound=ServedState)


class Served(Generic[State]):
    """The one reference that requests read and the watcher assigns.

    `confirmed`: the registry has answered since the start, and what it named was served or refused; until then the
    state is what this host served last.
    """

    def __init__(self, state: State | None = None) -> None:
        self.state = state
        self.confirmed = False
