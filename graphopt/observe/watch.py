"""Observers for whoever works on a pass: what it changed, and whether it left the model whole."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import final

from graphopt.ir.graph import Graph
from graphopt.ir.model import Model
from graphopt.ir.verify import verify
from graphopt.observe.observer import Observer


@final
class VerifyEach(Observer):
    """Checks the whole model after every run of a pass. Its InternalError reaches the user with the name of the pass."""

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        verify(graph.model)


@final
class PrintAfterChange(Observer):
    """Tells what each pass changed, as a unified diff of the model's text.

    `text` prints a model, `tell` takes one diff.
    """

    def __init__(self, text: Callable[[Model], str], tell: Callable[[str], None]) -> None:
        self._text, self._tell = text, tell
        self._before: str | None = None

    def pass_began(self, name: str, graph: Graph) -> None:
        if self._before is None:
            self._before = self._text(graph.model)

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        if not changes or self._before is None:
            return
        before, self._before = self._before, self._text(graph.model)
        where = f" in function {graph.name}" if graph.function is not None else ""
        lines = difflib.unified_diff(
            before.splitlines(), self._before.splitlines(), "before", f"after {name}{where}: {changes} changes", lineterm="", n=1
        )
        self._tell("\n".join(lines))
