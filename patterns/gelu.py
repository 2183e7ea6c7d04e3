"""Gelu, as exporters write it out: with the error function, and with the hyperbolic tangent that comes close to it."""

from __future__ import annotations

from typing import Final

from graphopt.ir import DType, Value
from graphopt.match import Match, Pattern, any_of, op, product, rule, tensor

# The operator's definition rounds its constants to float32, so that of float64 it would lose digits.
NARROW: Final = (DType.float16, DType.bfloat16, DType.float32)

x = tensor("x")
of_root_two = any_of(op.Div(x, 1.4142135623730951), op.Mul(x, 0.7071067811865476))
cube = any_of(op.Pow(x, 3), product(x, x, x))
square = any_of(op.Pow(x, 2), op.Mul(x, x))
cubic = any_of(
    op.Mul(op.Add(x, op.Mul(cube, 0.044715)), 0.7978845608028654),
    product(x, 0.7978845608028654, op.Add(op.Mul(square, 0.044715), 1)),
)


def half(gate: Pattern) -> Pattern:
    """The pattern of x / 2 * gate."""
    return any_of(product(x, 0.5, gate), op.Div(op.Mul(x, gate), 2), op.Mul(op.Div(x, 2), gate))


@rule(half(op.Add(op.Erf(of_root_two), 1)), dtype=NARROW, since=20, exactness="rounding")
def erf_gelu(m: Match, x: Value) -> Value:
    """0.5 * x * (1 + Erf(x / sqrt(2)))  ->  Gelu(x)                             rounding

    The factors in any order, the halving as a product or a quotient. Where x * (1 + Erf) overflows before it is halved, above half the
    largest number, the Gelu does not.
    """
    return m.op.Gelu(x)


@rule(half(op.Add(op.Tanh(cubic), 1)), dtype=NARROW, since=20, exactness="rounding")
def tanh_gelu(m: Match, x: Value) -> Value:
    """0.5 * x * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))  ->  Gelu<approximate = "tanh">(x)      rounding

    The factors in any order; x^3 as a power or a product, or x taken out of the sum.
    """
    return m.op.Gelu(x, approximate="tanh")
