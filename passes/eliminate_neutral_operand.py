"""Operands that change nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.neutral import and_true, not_not, plus_negative_zero, plus_zero, times_one, to_the_power_of_one
from graphopt.pipeline.base import RulePass


class EliminateNeutralOperand(RulePass):
    """Remove Mul and Div by 1, Add and Sub of 0, Pow to 1, And of true, Or and Xor of false, and Not of Not.

    Before:  t = Mul(x, 1); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   Add of the float +0.0, which makes +0 of -0; operands that may broadcast x to a bigger shape. Exact.
    """

    name: ClassVar[str] = "eliminate-neutral-operand"
    rules: ClassVar[tuple[Rule, ...]] = (times_one, plus_zero, plus_negative_zero, to_the_power_of_one, and_true, not_not)
