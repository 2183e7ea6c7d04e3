"""Negations as products."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.conversion import neg_to_mul
from graphopt.pipeline.base import RulePass


class ConvertNegToMul(RulePass):
    """Say Neg as a product with -1.

    Before:  y = Neg(x)
    After:   y = Mul(x, -1)
    Keeps:   negations of integers. Exact.
    """

    name: ClassVar[str] = "convert-neg-to-mul"
    rules: ClassVar[tuple[Rule, ...]] = (neg_to_mul,)
