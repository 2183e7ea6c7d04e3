"""What a user is told of a run: warnings, each once, and whether the result was verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from graphopt.observe.observer import Observer

if TYPE_CHECKING:
    from graphopt.verify.result import Comparison


@final
class Told(Observer):
    """Hands each different warning to `tell`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def warned(self, source: str, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._tell(message)


def unverified(comparison: Comparison | None) -> str:
    """What to warn of when a comparison was asked for and came to no result; otherwise empty."""
    if comparison is None or comparison.agrees or comparison.differs:
        return ""
    return f"not verified: {str(comparison).removeprefix('not checked: ')}"
