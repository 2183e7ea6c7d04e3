"""Softmaxes for runtimes that lack them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition import log_softmax_to_parts, softmax_to_parts
from graphopt.pipeline.base import RulePass


class DecomposeSoftmax(RulePass):
    """Write out Softmax and LogSoftmax, the greatest element subtracted first.

    Before:  y = Softmax(x)                                                                             x: (N, 10)
    After:   e = Exp(Sub(x, ReduceMax(x, [1]))); y = Div(e, ReduceSum(e, [1]))
    Keeps:   an axis whose extent is not known or 0; float16 and bfloat16; below opset 13 what normalizes several axes together. Rounding:
             each step rounds.
    """

    name: ClassVar[str] = "decompose-softmax"
    rules: ClassVar[tuple[Rule, ...]] = (softmax_to_parts, log_softmax_to_parts)
