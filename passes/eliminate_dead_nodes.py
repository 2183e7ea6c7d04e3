"""Nodes and initializers that nobody reads."""

from __future__ import annotations

from operator import attrgetter
from typing import ClassVar

from graphopt.ir import Graph, Node
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts

_users = attrgetter("users")


class EliminateDeadNodes(Pass):
    """Remove nodes of which no output is read, and initializers that nobody reads.

    Before:  t = Exp(x); y = Relu(x)        with an initializer w that nobody reads
    After:   y = Relu(x)
    Keeps:   unknown operators (they may do more than compute), inputs of the graph, initializers that are inputs as well or that a
             quantization annotation names, local functions. Exact.
    """

    name: ClassVar[str] = "eliminate-dead-nodes"

    def run(self, graph: Graph, context: Context) -> int:
        """Remove what is dead in this graph and the graphs inside it."""
        changes = 0
        for node in reversed(graph):  # readers before what they read: one sweep frees whole chains
            if is_unread(node) and facts.may_drop(node) and context.observer.may_apply(self.name, node):
                context.editor.erase(node)
                context.observer.applied(self.name, node, ())
                changes += 1
                continue
            for inner in node.subgraphs if node.attributes else ():
                changes += self.run(inner, context)
        for value in list(graph.initializers.values()):
            # An initializer has no node of its own: the end of its graph stands for it before the observers.
            if context.editor.may_drop_initializer(value) and context.observer.may_apply(self.name, graph.exit):
                context.editor.drop_initializer(value)
                context.observer.applied(self.name, graph.exit, ())
                changes += 1
        return changes


def is_unread(node: Node) -> bool:
    """Whether nobody reads any output."""
    return not any(map(_users, node.outputs))
