"""Products with constant weights, computed on integers that are found while the model runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphopt.ir import DType, Graph, Tensor, Value
from graphopt.match import Declined, Match, any_of, attr, const, op, opt, rule, tensor
from graphopt.match.rule import Exactness
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import quantize
from graphopt.quantization.ranges import of_weights
from graphopt.rewrite import apply_rules

x, w = tensor("x", dtype=DType.float32), const("w", dtype=DType.float32, rank=2)


@dataclass(frozen=True)
class QuantizeMatmulDynamically(Pass):
    """Multiply by constant weights on integers: what they are multiplied by is quantized while the model runs, which needs no calibration.

    Before:  y = Add(MatMul(x, w), b)                                                                                   w: (K, N)
    After:   q, s, z = DynamicQuantizeLinear(x); y = Add(Mul(Cast(MatMulInteger(q, w8, z, 0)), Mul(s, sw)), b)          sw: (N,)
    Keeps:   weights that are not constant matrices of float32, or not finite. A Gemm is such a product and an Add, unless it has factors or
             transposes x. Onnxruntime makes one operator of it all. Approximate: the numbers are quantized.
    """

    name: ClassVar[str] = "quantize-matmul-dynamically"
    exactness: ClassVar[Exactness] = "approximate"

    def run(self, graph: Graph, context: Context) -> int:
        """Quantize in this graph and the graphs inside it."""
        return apply_rules(graph, (matmul_to_dynamic_matmul,), context.editor, context.observer)


# A rule of this pass alone: how far the numbers are off depends on the weights, and no bound holds for all.
@rule(
    any_of(op.MatMul(x, w), op.Gemm(x, w, opt(tensor("c")), alpha=1, beta=1, transA=0, transB=attr("transB"))),
    name="quantize-matmul-dynamically",
    exactness="approximate",
)
def matmul_to_dynamic_matmul(m: Match, x: Value, w: Value, c: Value | None, transB: int | None) -> Value | Declined:
    """MatMul(x, w)  ->  Cast(MatMulInteger(q, w8, z)) * (s * sw)      q, s, z = DynamicQuantizeLinear(x)"""
    weights = floats_of(m, w)
    if isinstance(weights, Declined):
        return weights
    by = of_weights(weights, DType.int8, 0 if transB else 1)
    stored = quantize(weights, by)
    numbers = m.constant(Tensor.of(np.ascontiguousarray(stored.T) if transB else stored), name=f"{w.name}_quantized")
    scales, zeros = m.constant(by.scale, name=f"{w.name}_scale"), m.constant(by.zero_point, name=f"{w.name}_zero_point")
    integers, scale, zero = m.call("DynamicQuantizeLinear", (x,), {}, outputs=3)
    product = m.op.Cast(m.op.MatMulInteger(integers, numbers, zero, zeros), to=int(DType.float32))
    # onnxruntime looks for the product of the scales, the sum last
    made = m.op.Mul(product, m.op.Mul(scale, scales))
    return made if c is None else m.op.Add(made, c)


def floats_of(m: Match, w: Value) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]] | Declined:
    """The elements of constant weights, if there are any and all are finite."""
    if w.const is None or not w.const.size:
        return m.no("{} holds no weights", w)
    held = w.const.numpy().astype(np.float32, copy=False)
    return held if np.isfinite(held).all() else m.no("{} is not finite everywhere", w)
