"""Softmax and LogSoftmax."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.exponential import exp_div_sum_to_softmax, sub_log_sum_to_logsoftmax
from graphopt.pipeline.base import RulePass


class FuseSoftmax(RulePass):
    """Make one Softmax, or LogSoftmax, of exponentials over their sum.

    Before:  e = Exp(Sub(x, ReduceMax(x, axis))); y = Div(e, ReduceSum(e, axis))
    After:   y = Softmax<axis>(x)
    Keeps:   exponentials from which the largest was not taken away: they may overflow; sums along other axes than the last, which some
             runtimes take long over. Rounding: the sum in another order.
    """

    name: ClassVar[str] = "fuse-softmax"
    rules: ClassVar[tuple[Rule, ...]] = (exp_div_sum_to_softmax, sub_log_sum_to_logsoftmax)
