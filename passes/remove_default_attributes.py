"""Attributes that say what their absence says."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Attribute, Graph
from graphopt.passes.eliminate_common_subexpressions import content_of
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts


class RemoveDefaultAttributes(Pass):
    """Leave out attributes that are the default of their operator, bit by bit.

    Before:  y = Conv<group = 1, dilations = [1, 1]>(x, w); z = LeakyRelu<alpha = 0.5>(y)
    After:   y = Conv<dilations = [1, 1]>(x, w); z = LeakyRelu<alpha = 0.5>(y)
    Keeps:   attributes that must be there or have no default, those that a function's caller gives, calls of functions, unknown
             operators. The defaults are those of the model's opset. Exact.
    """

    name: ClassVar[str] = "remove-default-attributes"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at all nodes of this graph and the graphs inside it."""
        changes = 0
        for inner in graph.walk():
            for node in inner:
                known = facts.of_node(node) if node.attributes else None
                stated = {} if known is None else known.attributes
                equal = [
                    name
                    for name, held in node.attributes.items()
                    if (formal := stated.get(name)) is not None
                    and formal.default is not None
                    and not (formal.is_required or held.reference)
                    and content_of(held) == content_of(Attribute(formal.kind, formal.default))
                ]
                if equal and context.observer.may_apply(self.name, node):
                    for name in equal:
                        context.editor.set_attribute(node, name, None)
                    context.observer.applied(self.name, node, ())
                    changes += 1
        return changes
