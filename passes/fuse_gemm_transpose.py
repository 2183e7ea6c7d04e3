"""Transposes around matrix products."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.gemm_operands import (
    gemm_of_transposed_a,
    gemm_of_transposed_b,
    matmul_of_transposed_a,
    matmul_of_transposed_b,
    transpose_of_gemm,
)
from graphopt.pipeline.base import RulePass


class FuseGemmTranspose(RulePass):
    """Let a Gemm read a matrix by columns, where it is transposed before or after the product.

    Before:  t = Transpose(w); y = Gemm(x, t, c)                    w: (N, K)
    After:   y = Gemm<transB = 1>(x, w, c)
    Keeps:   transposes that others read; stacks of matrices; transposed results to which something is added, or below opset 11, which has
             no Gemm without a term. Rounding: the product may be summed in another order.
    """

    name: ClassVar[str] = "fuse-gemm-transpose"
    rules: ClassVar[tuple[Rule, ...]] = (
        gemm_of_transposed_a,
        gemm_of_transposed_b,
        matmul_of_transposed_a,
        matmul_of_transposed_b,
        transpose_of_gemm,
    )
