"""Weights that are transposed in each run after they were dequantized."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph, Node
from graphopt.passes.axis_order import inverse, stored
from graphopt.passes.transpose_regions import perm_of
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization import is_dequantize, quantization_of
from graphopt.quantization.nodes import like
from graphopt.schema.older import CannotSpell, constant


class MoveWeightTransposeThroughDequantize(Pass):
    """Store quantized weights transposed where they are dequantized and then transposed.

    Before:  d = DequantizeLinear<axis = 0>(w, s, z); t = Transpose<perm = [1, 0]>(d); y = MatMul(x, t)      w: constant
    After:   d = DequantizeLinear<axis = 1>(w', s, z); y = MatMul(x, d)                                      w' = w transposed
    Keeps:   what is dequantized with other readers, or as an output; computed weights. A Transpose before a Gemm is an attribute of it
             (fuse-gemm-transpose) where that runs first. Exact.
    """

    name: ClassVar[str] = "move-weight-transpose-through-dequantize"
    level: ClassVar[Level] = Level.EXTENDED

    def run(self, graph: Graph, context: Context) -> int:
        """Transpose in this graph and the graphs inside it; linear in the Transposes."""
        return sum(self.move(node, context) for node in context.editor.calls(graph, ("Transpose",)))

    def move(self, transpose: Node, context: Context) -> bool:
        """Dequantize transposed weights in the place of one Transpose, if that is all that reads them."""
        d, perm, graph = transpose.inputs[0], perm_of(transpose), transpose.graph
        node = None if d is None else d.producer
        if d is None or node is None or not is_dequantize(node) or perm is None or graph is None or node.graph is not graph:
            return False
        w = node.inputs[0]
        if w is None or w.const is None:
            return False
        by = quantization_of(node)
        refusal = by if isinstance(by, str) else "it is read elsewhere too" if list(d.users) != [transpose] else None
        if isinstance(by, str) or not context.allows(self.name, transpose, refusal):
            return False
        if by.axis is not None:
            parts = (part.transpose(perm) if by.block else part for part in (by.scale, by.zero_point))
            scale, zero = parts
            by = by.with_entries(scale, zero, inverse(perm)[by.axis], by.block)
        try:
            made = like(node, constant(stored(w.const, perm), w.name), by, graph)
        except CannotSpell as reason:
            context.observer.declined(self.name, transpose, reason.__str__)
            return False
        self.put(made, transpose, node, context)
        return True

    def put(self, made: Node, transpose: Node, node: Node, context: Context) -> None:
        """Insert the new node and take out the two that it stands for."""
        editor, graph = context.editor, transpose.graph
        assert graph is not None  # it was found in one
        made.rule, made.name, made.doc, made.metadata = self.name, node.name, node.doc, dict(node.metadata)
        made.replaces = tuple(name for old in (node, transpose) for name in old.stands_for)
        editor.insert(made, graph, transpose)
        old = transpose.output
        is_renamed = not old.is_output
        editor.replace(old, made.output)
        if is_renamed:
            editor.exchange_names(old, made.output)
        editor.erase_unread((transpose, node))
        context.observer.applied(self.name, transpose, (made,))
