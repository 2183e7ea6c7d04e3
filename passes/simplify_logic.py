"""Conditions in fewer steps."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.logic import and_of_nots, both_the_same, not_compare, where_not, xor_of_nots
from graphopt.pipeline.base import RulePass


class SimplifyLogic(RulePass):
    """Say conditions with fewer negations, and once.

    Before:  n = Not(c); y = Where(n, a, b)             or l = Less(i, j); y = Not(l); or n = Not(a); o = Not(b); y = And(n, o)
    After:   y = Where(c, b, a)                         or y = GreaterOrEqual(i, j); or t = Or(a, b); y = Not(t)
    Keeps:   negated comparisons of floats: with a NaN every comparison is false. Rounding: of -0 in one of its operands
             Where may make +0; otherwise exact.
    """

    name: ClassVar[str] = "simplify-logic"
    rules: ClassVar[tuple[Rule, ...]] = (and_of_nots, both_the_same, not_compare, where_not, xor_of_nots)
