"""Operators that move elements, between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphopt.ir import Graph, Node, Value
from graphopt.passes.integer_kernels import Runtime
from graphopt.passes.quantized_passage import dequantizers, form, quantizers, replace
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization.commutation import COMMUTING, across
from graphopt.quantization.parameters import QUANTIZE, is_quantize


@dataclass(frozen=True)
class DropQuantizationAroundMovement(Pass):
    """Run operators that only move elements, or choose them by order, on the integers that are dequantized before and quantized after them.

    Before:  t = DequantizeLinear(q, s, z); u = MaxPool<kernel_shape = [2, 2]>(t); y = QuantizeLinear(u, s, z)
    After:   y = MaxPool<kernel_shape = [2, 2]>(q)
    Keeps:   parameters that do not belong together; results that others read as floats; scales of types in which numbers get lost;
             what the runtime has no integer kernel for. Exact.
    """

    name: ClassVar[str] = "drop-quantization-around-movement"
    level: ClassVar[Level] = Level.EXTENDED

    runtime: Runtime = field(default="onnxruntime", metadata={"doc": "whose integer kernels there must be; any: nobody's"})

    def run(self, graph: Graph, context: Context) -> int:
        """Drop in this graph and the graphs inside it; linear in the QuantizeLinears."""
        changes = 0
        for node in context.editor.calls(graph, QUANTIZE):
            value = node.inputs[0] if node.graph is not None and is_quantize(node) else None
            maker = None if value is None else value.producer
            if maker is not None and maker.graph is node.graph and maker.op in COMMUTING:
                changes += self.drop(maker, context)
        return changes

    def drop(self, node: Node, context: Context) -> bool:
        """Let one operator run on integers, if nothing changes."""
        given = dequantizers(node)
        readers = quantizers(node, others=True)
        if not given or isinstance(readers, str):
            if given and isinstance(readers, str):
                context.allows(self.name, node, readers)
            return False
        found = across(node, {slot: by for slot, (_, by) in given.items()}, readers.parameters)
        graph = node.graph
        assert graph is not None  # it was found in one
        if isinstance(found, str):
            context.allows(self.name, node, found)
            return False
        operands: dict[int, Value] = {}
        for slot in found.inputs:
            held = given[slot][0].inputs[0]
            assert held is not None  # a DequantizeLinear reads something
            operands[slot] = held
        made = form(found, operands, graph, self.runtime, self.name)
        if not context.allows(self.name, node, made if isinstance(made, str) else None) or isinstance(made, str):
            return False
        editor = context.editor
        for new in made:
            editor.insert(new, graph, node)
        for index, old in enumerate(node.outputs):
            for reader in readers.equal[index]:
                replace(editor, reader.output, made[-1].outputs[index])
            if old.users and not readers.equal[index]:
                replace(editor, old, made[-1].outputs[index])
        editor.erase_unread([*readers.all, node, *dict.fromkeys(maker for maker, _ in given.values())])
        context.observer.applied(self.name, node, tuple(made))
        return True
