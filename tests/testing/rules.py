"""A plug-in without a PLUGIN, for golden files."""

from __future__ import annotations

from graphopt import Match, Value, op, rule, tensor
from graphopt.match import FLOATING


@rule(op.Max(tensor("x"), op.Neg(tensor("x"))), dtype=FLOATING, exactness="rounding")
def right(m: Match, x: Value) -> Value:
    """Max(x, Neg(x))  ->  Abs(x)"""
    return m.op.Abs(x)
