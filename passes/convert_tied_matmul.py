"""Products with a table that is also read by rows."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.matmul_shape import matmul_tied_to_gemm
from graphopt.pipeline.base import RulePass


class ConvertTiedMatmul(RulePass):
    """Multiply by an embedding's table as it is stored, where it is transposed anew in each run.

    Before:  e = Gather(w, i); t = Transpose(w); y = MatMul(x, t)                      w: (50257, 768)  x: (N, S, 768)
    After:   e = Gather(w, i); u = Gemm<transB = 1>(Reshape(x, [-1, 768]), w); y = Reshape(u, s)
    Keeps:   weights that nothing else reads, which fold-constants stores transposed; below opset 14 an x of which more than the first
             size may be 0. Rounding: a Gemm may sum in another order.
    """

    name: ClassVar[str] = "convert-tied-matmul"
    rules: ClassVar[tuple[Rule, ...]] = (matmul_tied_to_gemm,)
