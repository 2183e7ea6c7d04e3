"""A second rule of a name that `fakes` has already."""

from __future__ import annotations

from graphopt.ir.graph import Value
from graphopt.match.language import op, tensor
from graphopt.match.match import Match
from graphopt.match.rule import Outcome, rule


@rule(op.Relu(op.Relu(tensor("x"))))
def relu_relu(m: Match, x: Value) -> Outcome:
    """Relu(Relu(x))  ->  Relu(x)"""
    return m.op.Relu(x)
