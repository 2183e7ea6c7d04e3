"""The nodes of a model by operator, and by when something about them changed last."""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from operator import itemgetter
from typing import final

from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model

_place = itemgetter(0, 1)


@final
class NodeIndex:
    """Finds the calls of an operator, and the nodes about which something changed, without a search. An Editor keeps it current."""

    __slots__ = ("_calls", "_clock", "_model", "_touched")

    def __init__(self, model: Model) -> None:
        self._model = model
        self._calls: dict[str, dict[Node, None]] = {}
        self._touched: dict[Node, int] = {}  # the one touched last stands last
        self._clock = 0
        for node in model.nodes():
            self._calls.setdefault(node.op, {})[node] = None

    def add(self, node: Node) -> None:
        """A node, with all that its subgraphs hold, is now in the model."""
        self._calls.setdefault(node.op, {})[node] = None
        self.touch(node)
        for inner in node.subgraphs:
            for held in inner:
                self.add(held)

    def remove(self, node: Node) -> None:
        """A node is no longer in the model; what its subgraphs hold is for the caller to remove."""
        calls = self._calls.get(node.op, {})
        calls.pop(node, None)
        if not calls:
            self._calls.pop(node.op, None)
        self._touched.pop(node, None)

    def holds(self, node: Node) -> bool:
        """Whether a node stands in the model."""
        return node in self._calls.get(node.op, ())

    @property
    def operators(self) -> KeysView[str]:
        """The operators that the model has calls of."""
        return self._calls.keys()

    def calls(self, graph: Graph, ops: Iterable[str]) -> list[Node]:
        """All calls of some operators in a graph and the graphs inside it, outer before inner, each graph in its order.

        What it costs depends on how many calls and how many graphs there are, not on how many nodes.
        """
        filed = [calls for op in ops if (calls := self._calls.get(op))]
        if not filed:
            return []
        rank: dict[Graph | None, int] = {each: place for place, each in enumerate(graph.walk())}
        found = [(place, node.position, node) for calls in filed for node in calls if (place := rank.get(node.graph)) is not None]
        return [node for _, _, node in sorted(found, key=_place)]

    def touch(self, node: Node) -> None:
        """Something about a node changed: what it reads, its attributes, who reads it, or what is known of its operands and results."""
        self._clock += 1
        self._touched.pop(node, None)
        self._touched[node] = self._clock

    @property
    def now(self) -> int:
        """A moment to ask about later: `touched(since=...)`."""
        return self._clock

    def touched(self, since: int) -> list[Node]:
        """The nodes of the model about which something changed after a moment, in the order of the last changes."""
        found: list[Node] = []
        for node in reversed(self._touched):
            if self._touched[node] <= since:
                break
            found.append(node)
        return found[::-1]
