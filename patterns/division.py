"""Products with the inverse of a square root: RMSNorm and LayerNorm as exporters write them."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import FLOATING, Match, any_of, op, rule, tensor

x, root = tensor("x"), op.Sqrt(tensor("z")).named("root").kept()


@rule(op.Mul(x, any_of(op.Reciprocal(root), op.Div(1.0, root))), dtype=FLOATING, exactness="rounding")
def times_inverse_root(m: Match, x: Value) -> Value:
    """Mul(x, Div(1, Sqrt(z)))  ->  Div(x, Sqrt(z))          Mul(x, Reciprocal(Sqrt(z))) likewise           rounding

    Rounds once instead of twice. Of a square root alone: its inverse overflows for 0 only, and underflows for infinity only, where
    both sides agree; the inverse of any number overflows where the quotient does not.
    """
    return m.op.Div(x, m.bindings["root"].output)
