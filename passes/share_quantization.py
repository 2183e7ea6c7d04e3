"""QuantizeLinear and DequantizeLinear that do the same twice."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from graphopt.ir import Graph, Node
from graphopt.passes.eliminate_common_subexpressions import content_of, obstacle
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import DEQUANTIZE, QUANTIZE, Quantization, is_dequantize, is_quantize, quantization_of


@dataclass(frozen=True)
class ShareQuantization(Pass):
    """Quantize a tensor once with the same parameters, and dequantize it once: for size, and for runtimes that fuse neither.

    Before:  p = QuantizeLinear(x, s, z); q = QuantizeLinear(x, t, u); c = DequantizeLinear(p, s, z); d = DequantizeLinear(q, t, u)
    After:   p = QuantizeLinear(x, s, z); c = DequantizeLinear(p, s, z)                         s and t, z and u: equal
    Keeps:   nodes of different graphs; a second output of the graph. `make-dequantize-unique` goes the other way. Exact.
    """

    name: ClassVar[str] = "share-quantization"

    def run(self, graph: Graph, context: Context) -> int:
        """Share in this graph and the graphs inside it, quantizing before what reads it; linear in these nodes."""
        changes = 0
        first: dict[Hashable, Node] = {}
        for node in context.editor.calls(graph, (*QUANTIZE, *DEQUANTIZE)):
            key = key_of(node)
            if key is None:
                continue
            kept = first.setdefault(key, node)
            if kept is not node and context.allows(self.name, node, obstacle([(node.output, kept.output)], node)):
                context.editor.replace(node.output, kept.output)
                context.editor.erase(node)
                kept.replaces = (*kept.replaces, *(name for name in (*node.replaces, node.name) if name))
                context.observer.applied(self.name, node, ())
                changes += 1
        return changes


def key_of(node: Node) -> Hashable | None:
    """What two nodes have in common exactly when they do the same; None when that is not known."""
    if not (is_quantize(node) or is_dequantize(node)):
        return None
    by = quantization_of(node)
    attributes = {name: content_of(attribute) for name, attribute in node.attributes.items()}
    if None in attributes.values():
        return None
    if isinstance(by, Quantization):
        said = ("output_dtype", "precision")  # the others are part of the parameters
        rest = tuple((name, attributes[name]) for name in said if name in attributes and not (name == said[0] and is_quantize(node)))
        return node.op, node.graph, node.inputs[0], by, rest
    return node.op, node.graph, node.inputs, tuple(sorted(attributes.items()))
