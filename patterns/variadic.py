"""Sum, Mean, Max and Min of so few operands that a plainer operator says it."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import NUMERIC, Match, any_of, op, rule, tensor

x, y = tensor("x"), tensor("y")


@rule(any_of(op.Sum(x), op.Mean(x), op.Max(x), op.Min(x)), exactness="rounding", keeps_type=True)
def variadic_of_one(m: Match, x: Value) -> Value:
    """Sum(x)  ->  x                                   Mean, Max and Min likewise; rounding: who adds -0 to a sum of 0 gets +0"""
    return x


@rule(op.Sum(x, y), dtype=NUMERIC, keeps_type=True)
def sum_to_add(m: Match, x: Value, y: Value) -> Value:
    """Sum(x, y)  ->  Add(x, y)                        two operands, of which no order of additions depends"""
    return m.op.Add(x, y)
