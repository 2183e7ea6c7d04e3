"""Products of rows as products of stacks."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.matmul_shape import rows_gemm_to_matmul_add, rows_matmul_to_matmul
from graphopt.pipeline.base import RulePass


class ConvertGemmToMatmul(RulePass):
    """Multiply a stack as it is, where it is made rows, multiplied by one matrix, and made a stack again.

    Before:  t = Reshape(x, [-1, 768]); u = Gemm(t, w, c); y = Reshape(u, [8, -1, 64])          x: (8, S, 768)  w: (768, 64)
    After:   y = Add(MatMul(x, w), c)
    Keeps:   rows that are put back in another way; a c that differs from row to row, or before a Reshape that also parts the last axis,
             or with fewer than 512 columns of x; a transposed w that others read. Rounding: the product may be summed in another order.
    """

    name: ClassVar[str] = "convert-gemm-to-matmul"
    rules: ClassVar[tuple[Rule, ...]] = (rows_gemm_to_matmul_add, rows_matmul_to_matmul)
