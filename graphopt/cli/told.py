"""An observer that tells warnings to the user, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from graphopt.observe.observer import Observer


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
