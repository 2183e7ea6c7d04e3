"""Operators of one operand that change nothing any more."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.unary import absolute_of_nonnegative, rounded_integer, rounded_twice, unary_twice
from graphopt.pipeline.base import RulePass


class EliminateRedundantUnary(RulePass):
    """Remove Relu, Abs, Ceil, Floor, Round and Sign after what leaves them nothing to do.

    Before:  t = Relu(x); y = Relu(t)                   or t = Exp(x); y = Abs(t); or t = Cast(i); y = Floor(t)
    After:   y = Relu(x)                                or y = Exp(x); or y = Cast(i)
    Keeps:   Abs of integers, of which the least is its own absolute value; what is not negative for other reasons than how it is computed.
             Rounding: Abs and Relu may leave -0 where they made +0; otherwise exact.
    """

    name: ClassVar[str] = "eliminate-redundant-unary"
    rules: ClassVar[tuple[Rule, ...]] = (absolute_of_nonnegative, rounded_integer, rounded_twice, unary_twice)
