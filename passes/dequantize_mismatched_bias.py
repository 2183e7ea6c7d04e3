"""Biases whose integers are in other steps than those of the sums that they are added to."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from graphopt.ir import Node
from graphopt.passes.dequantize_bias import DequantizeBias
from graphopt.passes.quantize_bias import unfit
from graphopt.quantization import Quantization, is_dequantize
from graphopt.quantization.nodes import plain_quantization
from graphopt.schema.spelling import neutral_attribute

CLOSE: Final = 1e-3  # products of scales come out otherwise by roundings of float32, scales of another layer by far more


class DequantizeMismatchedBias(DequantizeBias):
    """Store an int32 bias as floats where its scale is not the product of those of its operands: kernels on integers would misread it.

    Before:  y = Conv(DequantizeLinear(a, s), DequantizeLinear(w, t), DequantizeLinear(b, u))      b: int32, constant; u far from s * t
    After:   y = Conv(DequantizeLinear(a, s), DequantizeLinear(w, t), b * u)
    Keeps:   biases in steps of the product, to a thousandth; operands whose scales are not known, or that have no common step for each
             channel; ConvTranspose. A runtime quantizes the floats itself, in its own steps, where it would have left the operator in
             floats or added the integers as if they were in the right ones. Exact.
    """

    name: ClassVar[str] = "dequantize-mismatched-bias"

    def refusal(self, node: Node, bias: Node) -> str:
        """Why a bias stays as it is: it is in the right steps, or which are right is not known."""
        a, w = (None if value is None else value.producer for value in node.inputs[:2])
        if node.op == "ConvTranspose" or a is None or w is None or not (is_dequantize(a) and is_dequantize(w)):
            return "its operands are not both dequantized, and summed as integers"
        activation, weights, held = (plain_quantization(maker) for maker in (a, w, bias))
        if isinstance(activation, str) or isinstance(weights, str) or isinstance(held, str):
            return next(found for found in (activation, weights, held) if isinstance(found, str))
        channels = 0 if node.op == "Conv" or neutral_attribute(node, "transB") == 1 else 1
        refusal = unfit(activation, weights, channels)
        return refusal or ("its bias is in steps of the product of their scales" if is_close(held, activation, weights) else "")


def is_close(bias: Quantization, activation: Quantization, weights: Quantization) -> bool:
    """Whether the scales of a bias are the products of two others, but for rounding."""
    wanted = activation.scale.astype(np.float64) * weights.scale.astype(np.float64)
    held = bias.scale.astype(np.float64)
    return held.size in (1, wanted.size) and bool(np.isclose(held.reshape(-1), wanted.reshape(-1), rtol=CLOSE, atol=0).all())
