"""Norms and logarithms of sums."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.composite_reduction import (
    log_of_sum_to_reducelogsum,
    root_of_squares_to_reducel2,
    sum_of_absolutes_to_reducel1,
    sum_of_squares_to_reducesumsquare,
)
from graphopt.pipeline.base import RulePass


class FuseReduceComposites(RulePass):
    """Make one ReduceL1, ReduceL2, ReduceSumSquare or ReduceLogSum of its steps. onnxruntime takes longer for them along the last axis.

    Before:  y = Sqrt(ReduceSum(Mul(x, x), axes))
    After:   y = ReduceL2(x, axes)
    Keeps:   Log(ReduceSum(Exp(x))), which overflows where a ReduceLogSumExp need not; axes that are not constant below opset 18.
             Rounding: sums in another order.
    """

    name: ClassVar[str] = "fuse-reduce-composites"
    rules: ClassVar[tuple[Rule, ...]] = (
        sum_of_absolutes_to_reducel1,
        root_of_squares_to_reducel2,
        sum_of_squares_to_reducesumsquare,
        log_of_sum_to_reducelogsum,
    )
