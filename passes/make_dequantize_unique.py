"""DequantizeLinear that several nodes read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt.ir import Graph, Node, Value
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import DEQUANTIZE, is_dequantize


@dataclass(frozen=True)
class MakeDequantizeUnique(Pass):
    """Give each reader a DequantizeLinear of its own, as runtimes want it that fuse it with the reader.

    Before:  d = DequantizeLinear(q, s, z); y = Conv(d, w); u = Add(d, y)
    After:   d = DequantizeLinear(q, s, z); e = DequantizeLinear(q, s, z); y = Conv(d, w); u = Add(e, y)
    Keeps:   the output of a graph under its name; it counts as one reader. Readers in subgraphs read what stands around them. Exact.
    """

    name: ClassVar[str] = "make-dequantize-unique"

    def run(self, graph: Graph, context: Context) -> int:
        """Copy in this graph and the graphs inside it; linear in the readers."""
        changes = 0
        for node in context.editor.calls(graph, DEQUANTIZE):
            if not is_dequantize(node) or sum(node.output.users.values()) < 2 or not context.observer.may_apply(self.name, node):
                continue
            copies = [self.copied(node, reader, slot, context) for reader, slot in further_uses(node.output)]
            context.observer.applied(self.name, node, tuple(copies))
            changes += 1
        return changes

    def copied(self, node: Node, reader: Node, slot: int, context: Context) -> Node:
        """Let a slot read a copy of its own, right after the node that is copied."""
        graph = node.graph
        assert graph is not None and node.next is not None  # it was found in one
        copy = Node(node.op_type, node.inputs, 1, node.attributes, domain=node.domain)
        copy.metadata, copy.rule, copy.replaces = dict(node.metadata), self.name, node.stands_for
        copy.output.name = context.model.fresh_name(node.output.name)
        copy.output.type = node.output.type
        context.editor.insert(copy, graph, node.next)
        context.editor.set_input(reader, slot, copy.output)
        return copy


def further_uses(value: Value) -> list[tuple[Node, int]]:
    """Where a value is read, but for the first place; an output of the graph, which keeps its name, comes first."""
    uses = [(reader, slot) for reader in value.users for slot, operand in enumerate(reader.inputs) if operand is value]
    graph = value.scope
    kept = [(reader, slot) for reader, slot in uses if graph is not None and reader is graph.exit] or uses[:1]
    return [use for use in uses if use not in kept]
