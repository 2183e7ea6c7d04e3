"""Operators that give back what they get, whatever it is."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import Match, op, rule, tensor


@rule(op.Identity(tensor("x")), keeps_type=True)
def identity(m: Match, x: Value) -> Value:
    """Identity(x)  ->  x                   exact; x may be a sequence or an optional."""
    return x
