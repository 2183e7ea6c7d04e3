"""Products that are written as powers."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.power import pow_to_mul
from graphopt.pipeline.base import RulePass


class ConvertPowToMul(RulePass):
    """Say powers of 2, 3 and -1 as Mul and Reciprocal.

    Before:  y = Pow(x, 2)                              or y = Pow(x, -1)
    After:   y = Mul(x, x)                              or y = Reciprocal(x)
    Keeps:   powers of integers, which wrap around in a product only. Rounding.
    """

    name: ClassVar[str] = "convert-pow-to-mul"
    rules: ClassVar[tuple[Rule, ...]] = (pow_to_mul,)
