"""The first N rewrites of a run and no others, each one told, as LLVM's -opt-bisect-limit does it with passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from graphopt.ir.graph import Graph, Node
from graphopt.observe.observer import Observer
from graphopt.observe.trace import label

ALL = -1


@final
class Limit(Observer):
    """Lets the first `limit` rewrites through, all when it is -1, and tells of each whether it is made, with its number.

    Numbers count from 1 over the whole run, as `Bisect` counts. A run of a pass that edits without asking is one step, told when it is
    over. Once the limit is reached no further pass runs.
    """

    def __init__(self, limit: int, tell: Callable[[str], None] | None = None) -> None:
        self.limit = limit
        self.count = 0
        self._tell = tell if tell is not None else lambda text: None
        self._pass, self._at_start = "", 0

    @property
    def is_reached(self) -> bool:
        """Whether nothing more may be changed."""
        return self.limit != ALL and self.count >= self.limit

    def may_run(self, name: str, graph: Graph) -> bool:
        if self.is_reached:
            self._tell(f"BISECT: NOT running pass {name} on graph {graph.name!r}")
        return not self.is_reached

    def pass_began(self, name: str, graph: Graph) -> None:
        self._pass, self._at_start = name, self.count

    def may_apply(self, source: str, node: Node) -> bool:
        where = f"({self.count + 1}) {source} at {label(node)} (pass {self._pass})"
        if self.is_reached:
            self._tell(f"BISECT: NOT running rewrite {where}")
            return False
        self.count += 1
        self._tell(f"BISECT: running rewrite {where}")
        return True

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        if changes and self.count == self._at_start:
            self.count += 1
            self._tell(f"BISECT: running pass ({self.count}) {name} on graph {graph.name!r}, which asks for no single rewrite")
