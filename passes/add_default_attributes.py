"""Attributes that an operator's definition fills in."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Attribute, Graph
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts


class AddDefaultAttributes(Pass):
    """Write down every attribute that a node leaves to its default, for readers that know no defaults.

    Before:  y = LeakyRelu(x)
    After:   y = LeakyRelu<alpha = 0.01>(x)
    Keeps:   attributes without a default, calls of functions, unknown operators. The defaults are those of the model's opset. Exact.
    """

    name: ClassVar[str] = "add-default-attributes"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at all nodes of this graph and the graphs inside it."""
        changes = 0
        for inner in graph.walk():
            for node in inner:
                known = facts.of_node(node)
                absent = [] if known is None else [
                    each for each in known.attributes.values() if each.default is not None and each.name not in node.attributes
                ]  # fmt: skip
                if absent and context.observer.may_apply(self.name, node):
                    for each in absent:
                        context.editor.set_attribute(node, each.name, Attribute(each.kind, each.default))
                    context.observer.applied(self.name, node, ())
                    changes += 1
        return changes
