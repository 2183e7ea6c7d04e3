"""QuantizeLinear upwards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from graphopt.ir import Graph, Node, Tensor, Value
from graphopt.ir.tensor import Array
from graphopt.passes.integer_kernels import Runtime
from graphopt.passes.quantized_passage import Quantizers, copied, equal_before, form, is_finer, quantizers, replace
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization.arithmetic import entries, quantize, unsaturated
from graphopt.quantization.commutation import COMMUTING, Commuted, up
from graphopt.quantization.parameters import QUANTIZE, Quantization, is_dequantize, is_quantize, quantization_of
from graphopt.schema.older import constant


@dataclass(frozen=True)
class PropagateQuantizeUp(Pass):
    """Quantize before the operators that only move elements or choose them by order, up to what makes the numbers.

    Before:  t = Pad(Conv(x, w), [0, 0, 1, 1, 0, 0, 1, 1]); q = QuantizeLinear(t, s, z)
    After:   r = QuantizeLinear(Conv(x, w), s, z); q = Pad(r, [0, 0, 1, 1, 0, 0, 1, 1], z)
    Keeps:   operators whose results others read as floats, or that are quantized in several ways; those that would need more scales than
             there are; a Concat or Where of tensors that are all dequantized, from other parameters; places of elements that quantizing
             makes equal (Indices of MaxPool and TopK); what the runtime has no integer kernel for. Constants that take part are
             quantized: 0 becomes the zero point. Exact.
    """

    name: ClassVar[str] = "propagate-quantize-up"
    level: ClassVar[Level] = Level.EXTENDED

    runtime: Runtime = field(default="onnxruntime", metadata={"doc": "whose integer kernels there must be; any: nobody's"})

    def run(self, graph: Graph, context: Context) -> int:
        """Move in this graph and the graphs inside it until each has arrived; linear in the nodes that are passed."""
        pending = deque(context.editor.calls(graph, QUANTIZE))
        changes = 0
        while pending:
            node = pending.popleft()
            if node.graph is not None and is_quantize(node) and (made := self.lift(node, context)) is not None:
                pending.extend(made)
                changes += 1
        return changes

    def lift(self, quantizer: Node, context: Context) -> list[Node] | None:
        """Move one QuantizeLinear, and those that do the same, through the operator above it.

        Return those that may move on, None when nothing changed.
        """
        value = quantizer.inputs[0]
        node = None if value is None else value.producer
        if node is None or node.graph is not quantizer.graph or node.op not in COMMUTING:
            return None
        readers = quantizers(node)
        found = readers if isinstance(readers, str) else up(node, readers.parameters)
        if isinstance(readers, str) or isinstance(found, str):
            context.allows(self.name, node, found if isinstance(found, str) else "")
            return None
        moved = self.build(node, readers, found)
        if not context.allows(self.name, node, moved if isinstance(moved, str) else None) or isinstance(moved, str):
            return None
        return self.commit(node, readers, *moved, context)

    def build(self, node: Node, readers: Quantizers, found: Commuted) -> tuple[dict[Node, bool], list[Node]] | str:
        """The QuantizeLinears above, each with whether it is new, and the integer form; or why there are none."""
        graph, anchor = node.graph, readers.all[0]
        assert graph is not None  # it was found in one
        if joins_others(node, found):
            return "all that it joins is dequantized from other parameters: one node does that at once, above it there would be several"
        if why := is_finer([*found.inputs.values()], readers.parameters):
            return why
        for value, by in zip(node.outputs, readers.parameters, strict=True):  # equal blocks are one scale above it, of another kernel
            if by is not None and (found.is_ordered or by.block) and (why := unsaturated(by, value.rank)):
                return why
        above: dict[Node, bool] = {}
        known: dict[tuple[Value, Quantization], Node] = {}
        operands: dict[int, Value] = {}
        for slot, by in found.inputs.items():
            operand = node.inputs[slot]
            assert operand is not None  # it moves elements
            if operand.const is not None and (stored := _stored(operand.const.numpy(), by)) is not None:
                operands[slot] = constant(stored, operand.name)
                continue
            if (found.is_ordered or by.block) and (why := unsaturated(by, operand.rank)):
                return why
            new = known.get((operand, by)) or copied(anchor, operand, by, self.name)
            if isinstance(new, str):
                return new
            earlier = equal_before(operand, new, by, anchor)
            known[operand, by] = earlier or new
            above.setdefault(earlier or new, earlier is None)
            operands[slot] = (earlier or new).output
        made = form(found, operands, graph, self.runtime, self.name)
        return made if isinstance(made, str) else (above, made)

    def commit(self, node: Node, readers: Quantizers, above: dict[Node, bool], made: list[Node], context: Context) -> list[Node]:
        """Put in what was built, and take out what it replaces."""
        graph, editor, anchor = node.graph, context.editor, readers.all[0]
        assert graph is not None  # it was found in one
        added = [new for new, is_new in above.items() if is_new] + made
        for new in added:
            editor.insert(new, graph, anchor)
        for index, equal in enumerate(readers.equal):
            for reader in equal:
                replace(editor, reader.output, made[-1].outputs[index])
        editor.erase_unread([*readers.all, node])
        context.observer.applied(self.name, node, tuple(added))
        return [new for new in above if not self.has_arrived(new)]

    @staticmethod
    def has_arrived(quantizer: Node) -> bool:
        """Whether there is nothing above through which it might move."""
        value = quantizer.inputs[0]
        maker = None if value is None else value.producer
        return maker is None or is_dequantize(maker)


def joins_others(node: Node, found: Commuted) -> bool:
    """Whether several operands, all of them dequantized, come in other parameters than they would have to be quantized with."""
    makers = [(value.producer, by) for slot, by in found.inputs.items() if (value := node.inputs[slot]) is not None]
    if len(makers) < 2 or not all(is_dequantize(maker) for maker, _ in makers):
        return False
    return not all(maker is not None and quantization_of(maker) == by for maker, by in makers)


def _stored(elements: Array, by: Quantization) -> Tensor | None:
    """A constant as integers; None where runtimes do not agree which: NaN, and quotients of 2^31 and more."""
    scale = entries(by.scale, by, elements.shape).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        is_plain = by.dtype.is_integer and bool((np.abs(elements.astype(np.float64) / scale) < 2.0**31).all())
    return Tensor.of(quantize(elements, by), by.dtype) if is_plain else None
