"""Activations that exporters write out of simpler operators."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Value
from graphopt.ir.tensor import Array
from graphopt.match import Declined, Match, any_of, const, op, product, rule, tensor
from graphopt.match.conditions import broadcasts_into

# Attributes are float32: of a float64 number they would lose digits. bfloat16 is in the newest versions of these operators only.
NARROW: Final = (DType.float16, DType.float32)
LEAST: Final = float(np.finfo(np.float32).tiny)
MOST: Final = float(np.finfo(np.float32).max)
SIXTH: Final = 1 / 6


def is_finite(array: Array) -> bool:
    """Whether all elements are."""
    return bool(np.isfinite(array.astype(np.float64)).all())


def is_number(array: Array) -> bool:
    """Whether there is one element, and it is finite."""
    return array.size == 1 and is_finite(array)


def number(value: Value | None) -> float:
    """The one element of a constant; 1 where there is none."""
    return 1.0 if value is None or value.const is None else float(value.const.numpy().astype(np.float64).reshape(-1)[0])


def hard_sigmoid(m: Match, x: Value, above: float, beta: float, below: float) -> Value | Declined:
    """HardSigmoid<above / below, beta>(x), if float32 can hold both without losing digits."""
    alpha = above / below if below else np.inf
    if not LEAST <= abs(alpha) <= MOST or abs(beta) > MOST:
        return m.no("{} / {} or {} is not among the normal numbers of float32, in which HardSigmoid has its attributes", above, below, beta)
    return m.op.HardSigmoid(x, alpha=alpha, beta=beta)


x = tensor("x")
a, b, c = (const(name, where=is_number) for name in "abc")
slope = const("slope", where=is_finite)  # the product of a zero and an infinity is NaN where the operator gives x
clipped = op.Clip(op.Add(x, b), 0, c)
relu_of_six = op.Clip(op.Add(x, 3), 0, 6)
below_zero = op.Relu(op.Neg(x))


@rule(op.Clip(op.Add(any_of(op.Mul(x, a), op.Div(x, c)), b), 0, 1), dtype=NARROW, exactness="rounding")
def clip_to_hardsigmoid(m: Match, x: Value, a: Value | None, b: Value, c: Value | None) -> Value | Declined:
    """Clip(x * a / c + b, 0, 1)  ->  HardSigmoid<a / c, b>(x)                  rounding        a, b, c: numbers, c not 0"""
    return hard_sigmoid(m, x, number(a), number(b), number(c))


@rule(any_of(op.Div(clipped, c), op.Mul(clipped, a), op.Clip(op.Div(op.Add(x, b), c), 0, 1)), dtype=NARROW, exactness="rounding")
def scaled_clip_to_hardsigmoid(m: Match, x: Value, a: Value | None, b: Value, c: Value) -> Value | Declined:
    """Clip(x + b, 0, c) / c  ->  HardSigmoid<1 / c, b / c>(x)                  rounding        b, c: numbers, c positive

    The quotient also as a product with 1 / c, or inside Clip(..., 0, 1).
    """
    top, unit = number(c), 2.0**-9 if x.dtype is DType.float16 else 2.0**-22
    if not top > 0 or abs(number(a) * (1 if a is None else top) - 1) > unit:
        return m.no("{} is not positive, or {} not one over it", c, a)
    return hard_sigmoid(m, x, 1, number(b) / top, top)


@rule(
    any_of(product(x, relu_of_six, SIXTH), op.Div(op.Mul(x, relu_of_six), 6), op.Mul(op.Div(x, 6), relu_of_six)),
    dtype=NARROW,
    exactness="rounding",
)
def mul_clip_to_hardsigmoid(m: Match, x: Value) -> Value:
    """x * Clip(x + 3, 0, 6) / 6  ->  Mul(x, HardSigmoid<1/6, 1/2>(x))          rounding

    The factors in any order. Where the product overflows before it is divided, above a sixth of the largest number, the other does not.
    """
    return m.op.Mul(x, m.op.HardSigmoid(x, alpha=SIXTH, beta=0.5))


@rule(op.Mul(x, op.HardSigmoid(x, alpha=SIXTH, beta=0.5)), since=14, exactness="rounding")
def mul_hardsigmoid_to_hardswish(m: Match, x: Value) -> Value:
    """Mul(x, HardSigmoid<1/6, 1/2>(x))  ->  HardSwish(x)                       rounding"""
    return m.op.HardSwish(x)


@rule(op.Mul(x, op.Tanh(op.Softplus(x))), since=18, exactness="rounding")
def mul_tanh_softplus_to_mish(m: Match, x: Value) -> Value:
    """Mul(x, Tanh(Softplus(x)))  ->  Mish(x)                                   rounding"""
    return m.op.Mish(x)


@rule(op.Mul(x, any_of(op.Sigmoid(x), op.Sigmoid(op.Mul(x, a)))), dtype=NARROW, since=24, exactness="rounding")
def mul_sigmoid_to_swish(m: Match, x: Value, a: Value | None) -> Value:
    """Mul(x, Sigmoid(x * a))  ->  Swish<a>(x)                                  rounding        a: a number, 1 when it is not there"""
    return m.op.Swish(x, alpha=number(a))


@rule(op.Max(x, op.Mul(x, a)), dtype=NARROW)
def max_to_leakyrelu(m: Match, x: Value, a: Value) -> Value | Declined:
    """Max(x, Mul(x, a))  ->  LeakyRelu<a>(x)                                   a: between 0 and 1"""
    return m.op.LeakyRelu(x, alpha=number(a)) if 0 < number(a) < 1 else m.no("{} is {}, not between 0 and 1", a, number(a))


@rule(
    any_of(
        op.Where(any_of(op.Greater(x, 0), op.GreaterOrEqual(x, 0)), x, op.Mul(x, a)),
        op.Where(any_of(op.Less(x, 0), op.LessOrEqual(x, 0)), op.Mul(x, a), x),
    ),
    dtype=NARROW,
    exactness="rounding",
)
def where_to_leakyrelu(m: Match, x: Value, a: Value) -> Value | Declined:
    """Where(x > 0, x, Mul(x, a))  ->  LeakyRelu<a>(x)       rounding: the sign of a zero       a: positive; also with >=, < and <=

    Of 0 the factor keeps the sign only when it is positive; of a -0 in the second operand onnxruntime's Where makes +0.
    """
    return m.op.LeakyRelu(x, alpha=number(a)) if number(a) > 0 else m.no("{} is {}, not positive", a, number(a))


@rule(op.Where(op.Greater(x, a), x, 0), dtype=NARROW, since=10, exactness="rounding")
def where_to_thresholdedrelu(m: Match, x: Value, a: Value) -> Value:
    """Where(x > a, x, 0)  ->  ThresholdedRelu<a>(x)             rounding: the sign of a zero             a: a number"""
    return m.op.ThresholdedRelu(x, alpha=number(a))


@rule(
    any_of(op.Sub(op.Relu(x), op.Mul(below_zero, slope)), op.Add(op.Relu(x), op.Mul(op.Min(x, 0), slope))),
    dtype=NARROW,
    exactness="rounding",
)
def relu_sub_to_prelu(m: Match, x: Value, slope: Value) -> Value | Declined:
    """Sub(Relu(x), Relu(Neg(x)) * slope)  ->  PRelu(x, slope)                  rounding

    Also Add(Relu(x), Min(x, 0) * slope). slope: broadcasts into x. The sign of a zero may differ.
    """
    return m.op.PRelu(x, slope) if broadcasts_into(slope.shape or (), x.shape or ()) else m.no("{} may be wider than {}", slope, x)


@rule(op.Add(op.Relu(x), op.Mul(below_zero, slope)), dtype=NARROW, exactness="rounding")
def relu_add_to_prelu(m: Match, x: Value, slope: Value) -> Value | Declined:
    """Add(Relu(x), Relu(Neg(x)) * slope)  ->  PRelu(x, -slope)                 rounding

    slope: broadcasts into x. The sign of a zero may differ.
    """
    if slope.const is None or not broadcasts_into(slope.shape or (), x.shape or ()):
        return m.no("{} may be wider than {}", slope, x)
    return m.op.PRelu(x, m.constant(np.negative(slope.const.numpy()), slope.dtype, name=slope.name))
