"""Float biases of quantized products, as the integers that kernels add to sums of products."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

import numpy as np

from graphopt.infer import typed
from graphopt.ir import DType, Graph, Node, Tensor
from graphopt.ir.tensor import Array
from graphopt.match.rule import Exactness
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization import Quantization, is_dequantize
from graphopt.quantization.nodes import plain_quantization
from graphopt.quantization.parameters import INT8_TYPES
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import has_neutral_form, neutral_attribute, spell

MOST: Final = 2.0**31  # steps


class Bias(NamedTuple):
    """A bias as integers, and the size of their steps: one, or one for each output channel."""

    steps: Array
    scale: Array


class QuantizeBias(Pass):
    """Store the float bias of a Conv or Gemm of dequantized operands as int32, in steps of the product of their scales.

    Before:  a' = DequantizeLinear(a, s); w' = DequantizeLinear<axis = 0>(w, t); y = Conv(a', w', b)    s: one; t: one, or (C,)
    After:   b' = DequantizeLinear<axis = 0>(round(b / (s * t)), s * t); y = Conv(a', w', b')
    Keeps:   operands that are not int8 or uint8, with scales along what is summed, or negative; biases that are not constant, not one
             element for each channel, or 2^31 steps and more; Gemm with alpha or beta. Approximate: an element of the bias moves
             by up to half a step, as long as it is no more than 2^24 steps.
    """

    name: ClassVar[str] = "quantize-bias"
    level: ClassVar[Level] = Level.EXTENDED
    exactness: ClassVar[Exactness] = "approximate"

    def run(self, graph: Graph, context: Context) -> int:
        """Quantize in this graph and the graphs inside it; linear in the products."""
        return sum(self.quantize(node, context) for node in context.editor.calls(graph, ("Conv", "Gemm")))

    def quantize(self, node: Node, context: Context) -> bool:
        """Give one product a bias of integers, if it has a constant one and quantized operands."""
        operands, bias, graph = node.inputs[:2], node.input(2), node.graph
        makers = [value.producer for value in operands if value is not None and value.producer is not None]
        if bias is None or bias.const is None or graph is None or len(makers) < 2 or not all(map(is_dequantize, makers)):
            return False
        found = bias_of(node, makers[0], makers[1], bias.const)
        made = dequantized(found, bias.name, graph) if isinstance(found, Bias) else found
        if not context.allows(self.name, node, made if isinstance(made, str) else None) or isinstance(made, str):
            return False
        made.rule = self.name
        context.editor.insert(made, graph, node)
        context.editor.set_input(node, 2, made.output)
        context.editor.drop_if_unread(bias)
        context.observer.applied(self.name, node, (made,))
        return True


def bias_of(node: Node, a: Node, w: Node, bias: Tensor) -> Bias | str:
    """The bias of a product of two dequantized operands; in words, why it stays as it is."""
    if facts.is_function_call(node) or not has_neutral_form(node):
        return f"{node.op} is another operator here"
    activation, weights = plain_quantization(a), plain_quantization(w)
    if isinstance(activation, str) or isinstance(weights, str):
        return activation if isinstance(activation, str) else str(weights)
    channels = 0
    if node.op == "Gemm":
        if neutral_attribute(node, "alpha") != 1 or neutral_attribute(node, "beta") != 1:
            return "alpha or beta is not 1"
        channels = 0 if neutral_attribute(node, "transB") == 1 else 1
        shape = node.output.shape
        if shape is None or bias.shape != shape[1:]:
            return f"the bias is {bias.dtype}{list(bias.shape)}, not one element for each column"
    if (why := unfit(activation, weights, channels)) or bias.dtype is not DType.float32:
        return why or f"the bias is {bias.dtype}, not float32"
    if len(bias.shape) != 1 or (weights.axis is not None and weights.scale.size != bias.size):
        return "the bias is not one element for each scale"
    return in_steps(bias, activation, weights)


def unfit(activation: Quantization, weights: Quantization, channels: int) -> str:
    """Why two quantized operands have no common step for each output channel; empty when they have."""
    if activation.scale_dtype is not DType.float32 or weights.scale_dtype is not DType.float32:
        return f"the scales are {activation.scale_dtype} and {weights.scale_dtype}, not float32"
    if activation.dtype not in INT8_TYPES or weights.dtype not in INT8_TYPES:
        return f"the operands are {activation.dtype} and {weights.dtype}"
    if activation.axis is not None or weights.block or weights.axis not in (None, channels):
        return "the scales differ along what is summed, or along rows"
    return "" if activation.is_increasing and weights.is_increasing else "a scale is negative"


def in_steps(bias: Tensor, activation: Quantization, weights: Quantization) -> Bias | str:
    """A bias in steps of the product of two scales; in words, why it does not fit."""
    with np.errstate(over="ignore", under="ignore"):
        scale: Array = np.multiply(activation.scale, weights.scale)  # in float32, as kernels multiply them
    wide = scale.astype(np.float64)
    if (wide < float(DType.float32.info.tiny)).any() or not np.isfinite(wide).all():
        return "a product of scales is no normal number"
    steps = np.rint(bias.numpy().astype(np.float64) / wide)
    if not np.isfinite(steps).all() or (np.abs(steps) >= MOST).any():
        return "the bias is too great for int32 in such steps"
    return Bias(steps.astype(np.int32), scale)


def dequantized(bias: Bias, name: str, graph: Graph) -> Node | str:
    """The node that makes a bias of integers, in no graph yet; in words, why there can be none."""
    steps, scale = constant(Tensor.of(bias.steps, DType.int32), name), constant(Tensor.of(bias.scale, DType.float32), f"{name}_scale")
    try:
        made = typed(spell("DequantizeLinear", (steps, scale), {"axis": 0} if bias.scale.ndim else {}, graph), graph)
    except CannotSpell as reason:
        return str(reason)
    return facts.accepts(made, graph) or facts.refuses_constant(graph, steps.type) or made
