"""Names of nodes that come into a graph: runtimes refuse a graph in which two nodes have the same."""

from __future__ import annotations

from typing import final

from graphopt.ir.graph import Graph, Node


@final
class NodeNames:
    """The names of the nodes of some graphs, looked up once for each graph."""

    def __init__(self) -> None:
        self._taken: dict[Graph, set[str]] = {}
        self._numbers: dict[str, int] = {}

    def settle(self, node: Node, graph: Graph) -> None:
        """Give a node that is about to stand in `graph` another name if one there has its own. Nodes without a name need none."""
        if not node.name:
            return
        taken = self._taken.get(graph)
        if taken is None:
            taken = self._taken[graph] = {each.name for each in graph}
        stem = node.name
        while node.name in taken:
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            node.name, node.changed = f"{stem}_{number}", True
        taken.add(node.name)
