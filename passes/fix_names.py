"""Names of nodes, for tools that tell nodes apart by them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.pipeline.base import Context, Pass


class FixNames(Pass):
    """Give every node a name, and each a different one, over all graphs of the model.

    Before:  y = Relu(x); [mul] z = Mul(y, y); [mul] w = Mul(z, z)
    After:   [Relu_0] y = Relu(x); [mul] z = Mul(y, y); [mul_1] w = Mul(z, z)
    Keeps:   the first of the nodes that share a name; names of values, which are different and not empty in every valid model. Exact.
    """

    name: ClassVar[str] = "fix-names"

    def run(self, graph: Graph, context: Context) -> int:
        """Name all nodes of the model; asked once, for its main graph."""
        if graph is not context.model.graph:
            return 0
        nodes = [node for each in context.model.graphs() for node in each]
        taken = {node.name for node in nodes}
        kept: set[str] = set()
        numbers: dict[str, int] = {}
        changes = 0
        for node in nodes:
            if node.name and node.name not in kept:
                kept.add(node.name)
                continue
            if not context.observer.may_apply(self.name, node):
                continue
            stem = node.name or node.op_type
            number = numbers.get(stem, 1 if node.name else 0)
            while (name := f"{stem}_{number}") in taken:
                number += 1
            numbers[stem] = number + 1
            taken.add(name)
            kept.add(name)
            node.name, node.changed = name, True
            context.observer.applied(self.name, node, ())
            changes += 1
        return changes
