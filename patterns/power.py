"""Powers with small exponents."""

from __future__ import annotations

from typing import Final

from graphopt.ir import Value
from graphopt.match import FLOATING, Declined, Match, any_of, const, op, rule, tensor
from graphopt.patterns.neutral import unless_wider
from graphopt.patterns.sign import is_nonnegative, number

EXPONENTS: Final = (-1, 2, 3)

x = tensor("x")


def root_examples() -> list[str]:
    """Models of roots of what is never negative."""
    head = '<ir_version: 8, opset_import: ["" : 18]>'
    names = "<float half = {0.5}, float tiny = {1e-5}>"
    return [
        f"{head} variance (float[2,3] x) => (float[A,B] y) {names} {{ s = Mul(x, x) v = ReduceMean(s) t = Add(v, tiny) y = Pow(t, half) }}",
        f"{head} plain (float[2,3] x) => (float[A,B] y) {names} {{ s = Abs(x) y = Pow(s, half) }}",
    ]


nonnegative, half = tensor("x", where=is_nonnegative), const("c", equals=0.5)


@rule(op.Pow(nonnegative, half), dtype=FLOATING, keeps_type=True, exactness="rounding", examples=root_examples)
def pow_to_sqrt(m: Match, x: Value, c: Value) -> Value | Declined:
    """Pow(x, 0.5)  ->  Sqrt(x)                        rounding; x is never negative: the power of -inf is inf, its root is NaN"""
    found = unless_wider(m, x, c)
    return found if isinstance(found, Declined) else m.op.Sqrt(x)


@rule(op.Pow(x, any_of(*(const("c", equals=exponent) for exponent in EXPONENTS))), dtype=FLOATING, keeps_type=True, exactness="rounding")
def pow_to_mul(m: Match, x: Value, c: Value) -> Value | Declined:
    """Pow(x, 2)  ->  Mul(x, x)                        rounding; Pow(x, 3)  ->  Mul(Mul(x, x), x), Pow(x, -1)  ->  Reciprocal(x)"""
    found = unless_wider(m, x, c)
    if isinstance(found, Declined):
        return found
    exponent = number(c)
    if exponent == -1:
        return m.op.Reciprocal(x)
    square = m.op.Mul(x, x)
    return square if exponent == 2 else m.op.Mul(square, x)
