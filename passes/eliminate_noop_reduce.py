"""Reductions of one element."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.reduction import mean_of_one, reduction_of_nothing, reduction_of_one, sum_of_nothing, sum_of_one
from graphopt.pipeline.base import RulePass


class EliminateNoopReduce(RulePass):
    """Remove ReduceSum, ReduceMean, ReduceMax, ReduceMin and ReduceProd along axes of extent 1; without keepdims a Squeeze is left.

    Before:  t = ReduceMax<keepdims = 0>(x, [1]); y = Relu(t)          x: (M, 1)
    After:   t = Squeeze(x, [1]); y = Relu(t)
    Keeps:   axes whose extent is not known to be 1; the reductions that do something to a single element, ReduceSum and ReduceMean
             of floats among them: they make +0 of -0. Rounding where no axes are none (noop_with_empty_axes), up to that sign;
             otherwise exact.
    """

    name: ClassVar[str] = "eliminate-noop-reduce"
    rules: ClassVar[tuple[Rule, ...]] = (reduction_of_one, sum_of_one, mean_of_one, reduction_of_nothing, sum_of_nothing)
