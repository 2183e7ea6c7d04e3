"""Biases whose integers are in other steps than those of the sums that they are added to."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from graphopt.ir import Graph, Node, Tensor
from graphopt.passes.quantize_bias import unfit
from graphopt.passes.quantized_passage import drop_unread
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization import Quantization, dequantize, is_dequantize
from graphopt.quantization.nodes import plain_quantization
from graphopt.schema.older import constant
from graphopt.schema.spelling import neutral_attribute

CLOSE: Final = 1e-3  # products of scales come out otherwise by roundings of float32, scales of another layer by far more


class DequantizeMismatchedBias(Pass):
    """Store an int32 bias as floats where its scale is not the product of those of its operands: kernels on integers would misread it.

    Before:  y = Conv(DequantizeLinear(a, s), DequantizeLinear(w, t), DequantizeLinear(b, u))      b: int32, constant; u far from s * t
    After:   y = Conv(DequantizeLinear(a, s), DequantizeLinear(w, t), b * u)
    Keeps:   biases in steps of the product, to a thousandth; operands whose scales are not known, or that have no common step for each
             channel. A runtime quantizes the floats itself, in its own steps, where it would have left the operator in floats
             or added the integers as if they were in the right ones. Exact.
    """

    name: ClassVar[str] = "dequantize-mismatched-bias"
    level: ClassVar[Level] = Level.EXTENDED

    def run(self, graph: Graph, context: Context) -> int:
        """Look at the products of this graph and the graphs inside it; linear in them."""
        return sum(self.dequantize(node, context) for node in context.editor.calls(graph, ("Conv", "Gemm")))

    def dequantize(self, node: Node, context: Context) -> bool:
        """Give one product its bias as floats, if it has one in other steps."""
        makers = [None if value is None else value.producer for value in node.inputs[:3]]
        if len(makers) < 3 or node.graph is None:
            return False
        a, w, b = makers
        if a is None or w is None or b is None or not all(map(is_dequantize, (a, w, b))):
            return False
        stored = b.inputs[0]
        if stored is None or stored.const is None:
            return False
        found = floats_of(node, (a, w, b), stored.const)
        if not context.allows(self.name, node, found if isinstance(found, str) else None) or isinstance(found, str):
            return False
        made = constant(found, stored.name)
        context.editor.adopt_constant(node.graph, made, node)
        context.editor.set_input(node, 2, made)
        drop_unread(context, [b])
        context.observer.applied(self.name, node, ())
        return True


def floats_of(node: Node, makers: tuple[Node, Node, Node], stored: Tensor) -> Tensor | str:
    """The bias of a product as floats; in words, why it stays as it is."""
    by, of, bias = (plain_quantization(maker) for maker in makers)
    if isinstance(by, str) or isinstance(of, str) or isinstance(bias, str):
        return next(found for found in (by, of, bias) if isinstance(found, str))
    channels = 0 if node.op == "Conv" or neutral_attribute(node, "transB") == 1 else 1
    if why := unfit(by, of, channels):
        return why
    if is_close(bias, by, of):
        return "its bias is in steps of the product of their scales"
    return Tensor.of(dequantize(stored.numpy(), bias), bias.scale_dtype)


def is_close(bias: Quantization, by: Quantization, of: Quantization) -> bool:
    """Whether the scales of a bias are the products of two others, but for rounding."""
    wanted = by.scale.astype(np.float64) * of.scale.astype(np.float64)
    held = bias.scale.astype(np.float64)
    return held.size in (1, wanted.size) and bool(np.isclose(held.reshape(-1), wanted.reshape(-1), rtol=CLOSE, atol=0).all())
