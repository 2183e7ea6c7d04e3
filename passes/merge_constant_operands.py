"""Constants that one operator applies after another."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.associative import (
    bits_of_two_constants,
    bounds_of_two_constants,
    factors_of_two_constants,
    integers_of_two_constants,
    terms_of_two_constants,
)
from graphopt.pipeline.base import RulePass


class MergeConstantOperands(RulePass):
    """Gather the constant operands of a chain of one associative operator: Add, Mul, Max, Min, And, Or, Xor, Bitwise*.

    Before:  t = Mul(x, c); y = Mul(t, d)
    After:   y = Mul(x, e)                                      e = c * d
    Keeps:   constants whose result would be bigger than both, or is not finite; floats of which one order overflows and the other does
             not: terms of either sign, factors above and below 1. Rounding for Add and Mul of floats, otherwise exact.
    """

    name: ClassVar[str] = "merge-constant-operands"
    rules: ClassVar[tuple[Rule, ...]] = (
        bits_of_two_constants,
        bounds_of_two_constants,
        integers_of_two_constants,
        terms_of_two_constants,
        factors_of_two_constants,
    )
