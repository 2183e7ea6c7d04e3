"""Reductions and what follows them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.reduction_shape import float_reduce_reduce, integer_reduce_reduce, reduce_in_other_shape
from graphopt.pipeline.base import RulePass


class FuseReduce(RulePass):
    """Reduce all axes at once, and keep or drop them in the reduction itself.

    Before:  t = ReduceMean<keepdims = 0>(x, [3]); u = ReduceMean<keepdims = 0>(t, [2]); y = Unsqueeze(u, [2, 3])
    After:   y = ReduceMean<keepdims = 1>(x, [2, 3])
    Keeps:   ReduceMax, ReduceMin and ReduceProd of floats after another; axes that are not constant; a reduction that others read.
             Rounding: floats are added up in another order.
    """

    name: ClassVar[str] = "fuse-reduce"
    rules: ClassVar[tuple[Rule, ...]] = (reduce_in_other_shape, integer_reduce_reduce, float_reduce_reduce)
