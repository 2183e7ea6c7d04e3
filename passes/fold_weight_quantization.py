"""Weights that are quantized anew in each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from graphopt.ir import LARGE, Graph, Node, Tensor, Value, release
from graphopt.ir.tensor import Array
from graphopt.passes.deferred import Deferred, without_cache
from graphopt.passes.fold_constants import UNCOUNTED, contradiction, unstorable
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import QUANTIZE, Quantization, is_quantize, quantization_of, quantize
from graphopt.quantization.parameters import FLOAT8_TYPES
from graphopt.schema.spelling import neutral_attribute

AT_ONCE: Final = 1 << 18  # elements
MOST: Final = 2.0**31  # from here on some kernels of onnxruntime do not saturate


@dataclass(frozen=True)
class FoldWeightQuantization(Pass):
    """Store weights as the integers that QuantizeLinear makes of them; the DequantizeLinear that reads them stays.

    Before:  q = QuantizeLinear(w, s, z); y = DequantizeLinear(q, s, z)               w: constant, float32
    After:   y = DequantizeLinear(q, s, z)                                            q: constant, int8
    Keeps:   weights with readers that quantize nothing, unless the integers take up to 256 bytes: both would be stored; weights that are
             not finite; quotients of 2^31 and more; float8 that does not saturate, float4; scales of another type than the weights. Big
             results are computed again when they are written, and not kept in memory. Exact.
    """

    name: ClassVar[str] = "fold-weight-quantization"

    def run(self, graph: Graph, context: Context) -> int:
        """Fold in this graph and the graphs inside it; linear in the nodes and in the weights that change."""
        groups: dict[Value, list[Node]] = {}
        for node in context.editor.calls(graph, QUANTIZE):
            weights = node.input(0)
            if is_quantize(node) and weights is not None and weights.const is not None:
                groups.setdefault(weights, []).append(node)
        return sum(self.fold(weights, nodes, context) for weights, nodes in groups.items())

    def fold(self, weights: Value, nodes: list[Node], context: Context) -> int:
        """Fold what quantizes these weights, in one way or in several."""
        ways: dict[Quantization, list[Node]] = {}
        for node in nodes:
            by = parameters(node)
            if isinstance(by, Quantization):
                ways.setdefault(by, []).append(node)
            else:
                context.allows(self.name, node, by)
        grown = growth(weights, ways)
        changes = 0
        for by, alike in ways.items():
            result = stored(weights, by) if grown <= UNCOUNTED else f"{weights!r} is read elsewhere too: {grown} bytes more"
            first: dict[Graph | None, Value] = {}
            for node in alike:
                if context.allows(self.name, node, refusal(node, result)) and isinstance(result, Tensor):
                    put(node, result, first, context)
                    context.observer.applied(self.name, node, ())
                    changes += 1
        context.editor.drop_constant(weights)
        return changes


def parameters(node: Node) -> Quantization | str:
    """How a node quantizes constants; in words, why they cannot be quantized now."""
    by = quantization_of(node)
    if isinstance(by, str):
        return by
    weights = node.inputs[0]
    if weights is None or weights.dtype is not by.scale_dtype or neutral_attribute(node, "precision"):
        return f"it may not divide in {by.scale_dtype}"
    if by.dtype.is_float and (by.dtype not in FLOAT8_TYPES or not by.saturate):
        return f"what it makes of numbers beyond the range of {by.dtype} depends on the runtime"
    return by


def growth(weights: Value, ways: dict[Quantization, list[Node]]) -> int:
    """How many bytes the file grows when weights are stored as quantized in all of these ways."""
    tensor = weights.const
    if tensor is None:
        return 0
    is_left = set(weights.users) - {node for nodes in ways.values() for node in nodes}
    return sum(-(-tensor.size * by.dtype.bits // 8) for by in ways) - (0 if is_left else tensor.nbytes)


def stored(weights: Value, by: Quantization) -> Tensor | str:
    """The quantized weights; big ones computed again when asked for. In words, why there can be none."""
    tensor = weights.const
    if tensor is None:
        return f"{weights!r} is not constant"
    source = without_cache(tensor)
    if (why := beyond(source.numpy(), by)) is not None:
        return f"{weights!r} {why}"
    if tensor.nbytes < LARGE:
        return quantized(source, by)
    size = -(-tensor.size * by.dtype.bits // 8)
    return Tensor(by.dtype, tensor.shape, Deferred(size, lambda: quantized(without_cache(tensor), by)))


def beyond(source: Array, by: Quantization) -> str | None:
    """Why it is not sure what these numbers become; None when it is."""
    if not source.size:
        return None
    greatest = max(abs(float(source.max())), abs(float(source.min())))
    if not np.isfinite(greatest):
        return "is not finite everywhere"
    least = float(np.abs(by.scale.astype(np.float64)).min())
    return f"divided by {least:.3g} is too great for some runtimes" if greatest / least >= MOST else None


def quantized(tensor: Tensor, by: Quantization) -> Tensor:
    """The quantized numbers, made of some rows at a time."""
    source = tensor.numpy()
    result = np.empty(source.shape, by.dtype.numpy)
    if source.ndim and source.size:
        step = -(-max(1, AT_ONCE // source[:1].size) // max(by.block, 1)) * max(by.block, 1)
        for start in range(0, source.shape[0], step):
            result[start : start + step] = quantize(source[start : start + step], rows(by, start, step))
    else:
        result[...] = quantize(source, by)
    release(tensor.storage)
    result.flags.writeable = False
    return Tensor.of(result, by.dtype)


def rows(by: Quantization, start: int, count: int) -> Quantization:
    """The parameters for some rows of a tensor."""
    if by.axis is None or (by.axis and not by.block):
        return by
    each = by.block if by.block and by.axis == 0 else 1
    part = slice(start // each, -(-(start + count) // each))
    return by.with_entries(by.scale[part], by.zero_point[part], by.axis, by.block)


def refusal(node: Node, result: Tensor | str) -> str | None:
    """Why a node cannot give way to these numbers; None when it can."""
    if isinstance(result, str):
        return result
    return contradiction(node, (result,)) or unstorable(node, (result,))


def put(node: Node, result: Tensor, first: dict[Graph | None, Value], context: Context) -> None:
    """Let a node be its result: the same constant for all nodes of a graph."""
    editor, graph, value = context.editor, node.graph, node.output
    parameters = [operand for operand in node.inputs[1:] if operand is not None]
    if graph in first and not value.is_output:
        editor.redirect(value, first[graph])
        editor.erase(node)
    else:
        editor.make_constant(node, (result,))
        first.setdefault(graph, value)
    for operand in parameters:
        editor.drop_constant(operand)
