"""Constant nodes as initializers."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.pipeline.base import Context, Pass


class LiftConstants(Pass):
    """Store what a Constant node holds as an initializer of the same graph, under the same name.

    Before:  c = Constant<value = t>(); y = Add(x, c)
    After:   y = Add(x, c)                  with the initializer c = t
    Keeps:   names, bytes, and the graph in which each constant lies. Stay as they are: sparse values, values that a function's caller
             gives, what a subgraph returns (onnx infers no type for an initializer there), everything in local functions (they hold no
             initializers) and in models of IR version 3 (there every initializer would become an input). Exact.
    """

    name: ClassVar[str] = "lift-constants"

    def run(self, graph: Graph, context: Context) -> int:
        """Lift the constants of this graph and the graphs inside it."""
        if not graph.holds_initializers:
            return 0
        changes = 0
        for node in context.editor.calls(graph, ("Constant",)):
            inner = node.graph
            if node.output.tensor is None or (inner is not None and inner.owner is not None and node.output.is_output):
                continue
            if context.observer.may_apply(self.name, node):
                context.editor.make_constant(node, (node.output.tensor,))
                context.observer.applied(self.name, node, ())
                changes += 1
        return changes
