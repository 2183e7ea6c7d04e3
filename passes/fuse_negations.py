"""Negations into the operator beside them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.negation import add_neg, div_of_negs, mul_of_negs, neg_neg, neg_sub, negated_factor, sub_neg, zero_minus
from graphopt.pipeline.base import RulePass


class FuseNegations(RulePass):
    """Let another operator do what Neg does: Sub for Add, a negative constant, or nothing at all.

    Before:  n = Neg(x); y = Add(a, n)                  or n = Neg(x); y = Mul(n, 2); or d = Sub(a, b); y = Neg(d); or y = Sub(0, x)
    After:   y = Sub(a, x)                              or y = Mul(x, -2); or y = Sub(b, a); or y = Neg(x)
    Keeps:   a Neg that others read too; constants of more than 64 KiB. Rounding: Neg(Sub(a, b)) and Sub(0, x) make -0 where they made +0,
             or +0 where they made -0; otherwise exact.
    """

    name: ClassVar[str] = "fuse-negations"
    rules: ClassVar[tuple[Rule, ...]] = (add_neg, div_of_negs, mul_of_negs, neg_neg, neg_sub, negated_factor, sub_neg, zero_minus)
