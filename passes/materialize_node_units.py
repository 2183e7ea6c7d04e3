"""Operators on integers, written as runtimes look for them: between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from graphopt.infer import typed
from graphopt.ir import Graph, Node, Value
from graphopt.passes.quantized_passage import keep_origin, replace
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization.arithmetic import loses
from graphopt.quantization.commutation import COMMUTING, Commuted, down
from graphopt.quantization.nodes import plain_quantization, quantization_node
from graphopt.quantization.parameters import Quantization, is_dequantize, is_quantize, quantization_of
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell
from graphopt.schema.spelling import neutral_attributes, neutral_inputs, spell

UNMOVED = frozenset({"Identity", "Shape", "Size"})  # which runtimes take out, or which say the same of integers as of floats


@dataclass(frozen=True)
class MaterializeNodeUnits(Pass):
    """Put DequantizeLinear before and QuantizeLinear after operators that move quantized integers, as TensorRT, OpenVINO and QNN want it.

    Before:  q = QuantizeLinear(x, s, z); y = MaxPool<kernel_shape = [2, 2]>(q)
    After:   q = QuantizeLinear(x, s, z); t = DequantizeLinear(q, s, z); u = MaxPool<kernel_shape = [2, 2]>(t); y = QuantizeLinear(u, s, z)
    Keeps:   operators on integers of which no QuantizeLinear above, or DequantizeLinear below, says how they are quantized; those with
             constants among the integers (Pad with a value, Clip); scales of types in which numbers get lost. Exact: the inverse of
             drop-quantization-around-movement.
    """

    name: ClassVar[str] = "materialize-node-units"
    level: ClassVar[Level] = Level.EXTENDED

    def run(self, graph: Graph, context: Context) -> int:
        """Materialize in this graph and the graphs inside it; linear in the nodes that move elements."""
        ops = COMMUTING - UNMOVED
        pending = deque(context.editor.calls(graph, sorted(ops)))
        changes = 0
        while pending:
            node = pending.popleft()
            beside = [value.producer for value in node.inputs if value is not None and value.producer is not None]
            beside += [reader for value in node.outputs for reader in value.users]
            if node.graph is not None and self.materialize(node, context):
                changes += 1
                pending.extend(other for other in beside if other.op in ops and other.graph is not None)  # more is known to them now
        return changes

    def materialize(self, node: Node, context: Context) -> bool:
        """Let one operator run on floats between integers, if it is known which."""
        graph = node.graph
        assert graph is not None  # the caller asked
        known = {slot: how for slot, value in enumerate(node.inputs) if value is not None and (how := _quantized_by(value, node, graph))}
        if not known:
            return False
        found = down(node, {slot: by for slot, (_, by) in known.items()})
        if isinstance(found, str) or (why := next(filter(None, map(loses, found.inputs.values())), "")):
            context.allows(self.name, node, found if isinstance(found, str) else why)
            return False
        first = next(iter(known.values()))[0]
        built = self.build(node, found, first)
        if not context.allows(self.name, node, built if isinstance(built, str) else None) or isinstance(built, str):
            return False
        made, after = built
        for new in (*made, *after.values()):
            context.editor.insert(new, graph, node)
        for index, old in enumerate(node.outputs):
            if old.users:
                replace(context.editor, old, after[index].output if index in after else made[-1].outputs[index])
        context.editor.erase_unread([node])
        context.observer.applied(self.name, node, (*made, *after.values()))
        return True

    def build(self, node: Node, found: Commuted, first: Node) -> tuple[list[Node], dict[int, Node]] | str:
        """The DequantizeLinears with the operator on floats, and a QuantizeLinear for each result; or why there are none."""
        graph = node.graph
        assert graph is not None  # it was found in one
        inputs = list(neutral_inputs(node))
        made: list[Node] = []
        try:
            for slot, by in found.inputs.items():
                held = inputs[slot]
                assert held is not None  # it moves elements
                before = quantization_node("DequantizeLinear", held, by, graph, by.scale_dtype, _parameters(first, by), domain=first.domain)
                made.append(before)
                inputs[slot] = before.output
            attributes = neutral_attributes(node)
            new = typed(spell(node.op_type, inputs, attributes, graph, outputs=len(node.outputs)), graph)
            if (refused := facts.accepts(new, graph)) is not None:
                return refused
            made.append(new)
            after = {
                index: quantization_node(
                    "QuantizeLinear", new.outputs[index], by, graph, by.dtype, _parameters(first, by), domain=first.domain
                )
                for index, by in enumerate(found.outputs) if by is not None and node.outputs[index].users
            }  # fmt: skip
        except CannotSpell as reason:
            return str(reason)
        for one in (*made, *after.values()):
            keep_origin(one, node, self.name)
        new.name = node.name
        return made, after


def _quantized_by(value: Value, node: Node, graph: Graph) -> tuple[Node, Quantization] | None:
    """How an integer was quantized, or is dequantized beside the node or behind it, and who says so."""
    if value.dtype is None or not value.dtype.is_integer:
        return None
    maker = value.producer
    if is_quantize(maker):
        assert maker is not None  # it quantizes
        return _said(maker)
    for reader in value.users:
        if is_dequantize(reader) and reader.graph is graph and reader.inputs[0] is value and (found := _said(reader)) is not None:
            return found
    for result in node.outputs:
        for reader in result.users:
            if is_dequantize(reader) and reader.graph is graph and (found := _said(reader)) is not None and found[1].axis is None:
                return found  # one scale for all is the same before and after
    return None


def _parameters(node: Node, by: Quantization) -> tuple[Value | None, ...]:
    """The initializers from which a QuantizeLinear or DequantizeLinear reads these parameters; nothing where it does not."""
    held = node.inputs[1:]
    is_same = len(held) == 2 and all(value is not None and value.producer is None for value in held) and quantization_of(node) == by
    return held if is_same else ()


def _said(node: Node) -> tuple[Node, Quantization] | None:
    by = plain_quantization(node)
    return (node, by) if isinstance(by, Quantization) and by.dtype.is_integer else None
