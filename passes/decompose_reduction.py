"""Reductions for runtimes that have ReduceSum and ReduceMax alone."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition import (
    reduce_l1_to_parts,
    reduce_l2_to_parts,
    reduce_log_sum_exp_to_parts,
    reduce_log_sum_to_parts,
    reduce_sum_square_to_parts,
)
from graphopt.pipeline.base import RulePass


class DecomposeReduction(RulePass):
    """Write out ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp and ReduceSumSquare by ReduceSum.

    Before:  y = ReduceL2(x, axes)                      axes: constant
    After:   s = Mul(x, x); t = ReduceSum(s, axes); y = Sqrt(t)
    Keeps:   integers; float16 and bfloat16, but of ReduceL1; noop_with_empty_axes; a ReduceLogSumExp of a size that is not known.
             Approximate: the sums in another order, and a ReduceLogSumExp of infinities is infinite, where onnxruntime's own is NaN.
    """

    name: ClassVar[str] = "decompose-reduction"
    rules: ClassVar[tuple[Rule, ...]] = (
        reduce_l1_to_parts,
        reduce_l2_to_parts,
        reduce_log_sum_to_parts,
        reduce_log_sum_exp_to_parts,
        reduce_sum_square_to_parts,
    )
