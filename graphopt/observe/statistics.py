"""What passes and rules did: how often, where, in how much time, and why not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from graphopt.ir.graph import Graph, Node
from graphopt.observe.observer import Observer

REASONS = 20  # different ones kept for each rule: some hold the names of values, and a graph has many
OTHER = "(other reasons)"


@dataclass(slots=True)
class RuleCount:
    """What one rule did. `seconds` run from the event before each of its events, so looking for matches is in them."""

    fired: int = 0
    declined: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(slots=True)
class PassCount:
    """What one pass did, over all its runs and graphs."""

    runs: int = 0
    changes: int = 0
    seconds: float = 0.0
    nodes_before: int = 0
    nodes_after: int = 0


@final
class Statistics(Observer):
    """Counts per pass and per rule, in the order in which they first came.

    With `reasons` it asks each rule that declines why, which costs a little time for each.
    """

    def __init__(self, *, reasons: bool = False) -> None:
        self.passes: dict[str, PassCount] = {}
        self.rules: dict[str, RuleCount] = {}
        self.warnings: list[str] = []
        self._reasons = reasons
        self._last_event = 0.0

    def pass_began(self, name: str, graph: Graph) -> None:
        count = self.passes.setdefault(name, PassCount())
        count.runs += 1
        count.nodes_before += len(graph)
        self._last_event = time.perf_counter()

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        count = self.passes[name]
        count.changes += changes
        count.seconds += seconds
        count.nodes_after += len(graph)

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        count = self._count(source)
        if self._reasons:
            reason = why()
            count.declined[reason if reason in count.declined or len(count.declined) < REASONS else OTHER] += 1

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self._count(source).fired += 1

    def warned(self, source: str, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def _count(self, source: str) -> RuleCount:
        count = self.rules.get(source)
        if count is None:
            count = self.rules[source] = RuleCount()
        now = time.perf_counter()
        count.seconds += now - self._last_event
        self._last_event = now
        return count
