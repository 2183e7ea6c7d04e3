"""Matrix products and what is added to them."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import FLOATING, Match, op, rule, tensor

# ONNX Gemm takes 32 and 64 bit integers as well; onnxruntime has no such kernel.
x, w = tensor("x", shape=("M", "K")), tensor("w", shape=("K", "N"))


@rule(op.Add(op.MatMul(x, w), tensor("c", into=("M", "N"))), dtype=FLOATING, exactness="rounding")
def matmul_add_to_gemm(m: Match, x: Value, w: Value, c: Value) -> Value:
    """Add(MatMul(x, w), c)  ->  Gemm(x, w, c)      rounding

    x: (M, K)  w: (K, N)  c: broadcasts into (M, N).
    """
    return m.op.Gemm(x, w, c)
