"""MatMul and Add as Gemm."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.gemm import matmul_add_to_gemm
from graphopt.pipeline.base import RulePass


class FuseMatmulAdd(RulePass):
    """Make one Gemm of the product of two matrices and what is added to it.

    Before:  t = MatMul(x, w); y = Add(t, c)           x: (M, K)  w: (K, N)  c: broadcasts into (M, N)
    After:   y = Gemm(x, w, c)
    Keeps:   stacks of matrices, integers, a c that would enlarge the result. Rounding: a Gemm may sum in another order.
    """

    name: ClassVar[str] = "fuse-matmul-add"
    rules: ClassVar[tuple[Rule, ...]] = (matmul_add_to_gemm,)
