"""DequantizeLinear downwards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import Graph, Node, Value
from graphopt.passes.integer_kernels import Runtime
from graphopt.passes.quantized_passage import copied, dequantizers, form, is_finer, replace
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization.commutation import COMMUTING, Commuted, down
from graphopt.quantization.parameters import DEQUANTIZE, is_dequantize


@dataclass(frozen=True)
class PropagateDequantizeDown(Pass):
    """Dequantize after the operators that only move elements or choose them by order, down to what computes with the numbers.

    Before:  t = DequantizeLinear(q, s, z); u = Flatten(t); y = Gemm(u, w)
    After:   r = Flatten(q); u = DequantizeLinear(r, s, z); y = Gemm(u, w)
    Keeps:   a DequantizeLinear for its other readers; operators that read floats as well; constants that are not on the grid; what would
             need more scales than there are, or has no integer kernel in the runtime. What asks for places, order or sizes alone (ArgMax,
             Shape) reads the integers. A graph output stays a float under its name. Exact.
    """

    name: ClassVar[str] = "propagate-dequantize-down"
    level: ClassVar[Level] = Level.EXTENDED

    runtime: Runtime = field(default="onnxruntime", metadata={"doc": "whose integer kernels there must be; any: nobody's"})

    def run(self, graph: Graph, context: Context) -> int:
        """Move in this graph and the graphs inside it until each has arrived; linear in the nodes that are passed."""
        pending = deque(context.editor.calls(graph, DEQUANTIZE))
        changes = 0
        while pending:
            node = pending.popleft()
            if node.graph is None or not is_dequantize(node):
                continue
            for reader in list(node.output.users):
                if reader.graph is node.graph and reader.op in COMMUTING and (made := self.pass_through(reader, context)) is not None:
                    pending.extend(made)
                    changes += 1
        return changes

    def pass_through(self, node: Node, context: Context) -> list[Node] | None:
        """Let an operator run on integers; return the DequantizeLinears below it, None when nothing changed."""
        given = dequantizers(node)
        found = down(node, {slot: by for slot, (_, by) in given.items()})
        if isinstance(found, str):
            context.allows(self.name, node, found)
            return None
        built = self.build(node, {slot: given[slot][0] for slot in found.inputs}, found)
        if not context.allows(self.name, node, built if isinstance(built, str) else None) or isinstance(built, str):
            return None
        made, below = built
        graph, editor = node.graph, context.editor
        assert graph is not None  # it was found in one
        for new in (*made, *below.values()):
            editor.insert(new, graph, node)
        for index, old in enumerate(node.outputs):
            if old.users:
                replace(editor, old, below[index].output if index in below else made[-1].outputs[index])
        editor.erase_unread([node, *dict.fromkeys(maker for maker, _ in given.values())])
        context.observer.applied(self.name, node, (*made, *below.values()))
        return [*below.values()]

    def build(self, node: Node, makers: dict[int, Node], found: Commuted) -> tuple[list[Node], dict[int, Node]] | str:
        """The integer form, and a DequantizeLinear for each result; or why there are none."""
        graph, first = node.graph, next(iter(makers.values()))
        assert graph is not None  # it was found in one
        if any((maker.op, maker.attribute("output_dtype")) != (first.op, first.attribute("output_dtype")) for maker in makers.values()):
            return "its inputs are dequantized by different operators"
        if why := is_finer(found.outputs, [*found.inputs.values()]):
            return why
        operands: dict[int, Value] = {}
        for slot, maker in makers.items():
            held = maker.inputs[0]
            assert held is not None  # a DequantizeLinear reads something
            operands[slot] = held
        made = form(found, operands, graph, self.runtime, self.name)
        if isinstance(made, str):
            return made
        below: dict[int, Node] = {}
        for index, by in enumerate(found.outputs):
            if by is not None and node.outputs[index].users:
                new = copied(first, made[-1].outputs[index], by, self.name)
                if isinstance(new, str):
                    return new
                below[index] = new
        return made, below
