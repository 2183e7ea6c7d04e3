"""Rounding to a grid, as exporters write it that train with quantization: division, Round, Clip, product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import AnyOf, Declined, Match, Operand, any_of, const, op, rule, tensor
from graphopt.patterns.quantization_pair import pair, rounding_grid
from graphopt.patterns.sign import number

x = tensor("x", dtype=DType.float32)
s, z, low, high = const("s"), const("z"), const("low"), const("high")
inverse = const("inverse")


def bounded(value: Operand) -> AnyOf:
    """The pattern of a value between two bounds."""
    return any_of(op.Clip(value, low, high), op.Min(op.Max(value, low), high), op.Max(op.Min(value, high), low))


def rounded(value: Operand) -> AnyOf:
    """The pattern of a value that is rounded and bounded; whole bounds do not mind the order."""
    return any_of(bounded(op.Round(value)), op.Round(bounded(value)))


def examples(*bodies: str, opsets: tuple[int, ...] = (13, 21)) -> Callable[[], list[str]]:
    """Models of x: (2, 3, 2) and y for each of these bodies, at several opsets. What is quantized, as k is, is fed no NaN."""
    held = (
        "float s = {4}, float r = {0.25}, float[3,1] sc = {0.1, 4, 3}, float[3,1] rc = {10, 0.25, 0.33333334},"
        " float z = {7}, float[3,1] zc = {7, 0, 255}, float zero = {0},"
        " float a = {0}, float b = {255}, float l = {-128}, float h = {127}, float n = {-127}"
    )

    def texts() -> list[str]:
        return [
            f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[2,3,2] x) => (float[2,3,2] y, float[2,3,2] k) <{held}>'
            f" {{ i = QuantizeLinear(x, s) k = DequantizeLinear(i, s) {body} }}"
            for opset in opsets
            for body in bodies
        ]

    return texts


def steps(quotient: str, *more: str) -> str:
    """The body of a model: t0 and what each step makes of the one before, as `{}`."""
    lines = [quotient, *(step.replace("{}", f"t{index}") for index, step in enumerate(more))]
    return " ".join(f"{'y' if index == len(more) else f't{index}'} = {line}" for index, line in enumerate(lines))


with_zero_point = examples(
    steps("Div(x, s)", "Round({})", "Add({}, z)", "Clip({}, a, b)", "Sub({}, z)", "Mul({}, s)"),
    steps("Div(x, sc)", "Round({})", "Add(zc, {})", "Clip({}, a, b)", "Sub({}, zc)", "Mul(sc, {})"),
    steps("Div(x, sc)", "Round({})", "Add({}, zero)", "Clip({}, l, h)", "Sub({}, zero)", "Mul({}, sc)"),
    steps("Div(x, s)", "Round({})", "Add({}, z)", "Max({}, n)", "Min({}, h)", "Sub({}, z)", "Mul({}, s)"),
)


@rule(op.Mul(op.Sub(bounded(op.Add(op.Round(op.Div(x, s)), z)), z), s), examples=with_zero_point)
def fake_quantization_to_pair(m: Match, x: Value, s: Value, z: Value, low: Value, high: Value) -> Value | Declined:
    """(Clip(Round(x / s) + z, low, high) - z) * s  ->  DequantizeLinear(QuantizeLinear(x, s, z), s, z)

    s, z: one number, or one for each index of an axis of x; z, low, high: whole numbers. A Clip of integers stands between where the bounds
    are narrower than the type.
    """
    return imported(m, x, s, z, low, high)


without_zero_point = examples(
    steps("Div(x, s)", "Round({})", "Clip({}, l, h)", "Mul({}, s)"),
    steps("Div(x, sc)", "Clip({}, n, h)", "Round({})", "Mul({}, sc)"),
    steps("Div(x, s)", "Round({})", "Min({}, b)", "Max({}, a)", "Mul(s, {})"),
)


@rule(op.Mul(rounded(op.Div(x, s)), s), exactness="rounding", examples=without_zero_point)
def symmetric_fake_quantization_to_pair(m: Match, x: Value, s: Value, low: Value, high: Value) -> Value | Declined:
    """Clip(Round(x / s), low, high) * s  ->  DequantizeLinear(QuantizeLinear(x, s, 0), s, 0)            rounding: 0 where -0 was

    s: one number, or one for each index of an axis of x; low, high: whole numbers. Round(Clip(x / s, low, high)) likewise.
    """
    return imported(m, x, s, None, low, high)


@rule(
    op.Mul(op.Sub(bounded(op.Add(op.Round(op.Mul(x, inverse)), z)), z), s),
    exactness="approximate",
    examples=examples(steps("Mul(x, r)", "Round({})", "Add({}, z)", "Clip({}, a, b)", "Sub({}, z)", "Mul({}, s)")),
)
def multiplied_fake_quantization_to_pair(
    m: Match, x: Value, inverse: Value, s: Value, z: Value, low: Value, high: Value
) -> Value | Declined:
    """(Clip(Round(x * (1 / s)) + z, low, high) - z) * s  ->  the pair of `fake_quantization_to_pair`        approximate in ties"""
    return unlike(m, inverse, s) or imported(m, x, s, z, low, high)


@rule(
    op.Mul(rounded(op.Mul(x, inverse)), s),
    exactness="approximate",
    examples=examples(
        steps("Mul(x, r)", "Round({})", "Clip({}, l, h)", "Mul({}, s)"), steps("Mul(x, rc)", "Round({})", "Clip({}, l, h)", "Mul({}, sc)")
    ),
)
def multiplied_symmetric_fake_quantization_to_pair(
    m: Match, x: Value, inverse: Value, s: Value, low: Value, high: Value
) -> Value | Declined:
    """Clip(Round(x * (1 / s)), low, high) * s  ->  the pair of `symmetric_fake_quantization_to_pair`        approximate in ties"""
    return unlike(m, inverse, s) or imported(m, x, s, None, low, high)


@rule(
    op.Mul(op.Sub(rounded(op.Add(any_of(op.Div(x, s), op.Mul(x, inverse)), z)), z), s),
    exactness="approximate",
    examples=examples(
        steps("Div(x, s)", "Add({}, z)", "Round({})", "Clip({}, a, b)", "Sub({}, z)", "Mul({}, s)"),
        steps("Mul(x, r)", "Add({}, z)", "Clip({}, a, b)", "Round({})", "Sub({}, z)", "Mul({}, s)"),
    ),
)
def shifted_fake_quantization_to_pair(
    m: Match, x: Value, inverse: Value | None, s: Value, z: Value, low: Value, high: Value
) -> Value | Declined:
    """(Clip(Round(x / s + z), low, high) - z) * s  ->  the pair of `fake_quantization_to_pair`               approximate in ties"""
    return (None if inverse is None else unlike(m, inverse, s)) or imported(m, x, s, z, low, high)


def imported(m: Match, x: Value, s: Value, z: Value | None, low: Value, high: Value) -> Value | Declined:
    """The pair that does the same as this arithmetic."""
    least, most = number(low), number(high)
    if least is None or most is None or any(bound == 0 and np.signbit(bound) for bound in (least, most)):
        return m.no("{} and {} are not two whole numbers", low, high)
    found = rounding_grid(x, s, z, float(least), float(most))
    return m.no(found) if isinstance(found, str) else pair(m, x, found, s.name)


def unlike(m: Match, inverse: Value, s: Value) -> Declined | None:
    """That a factor is not 1 / s, where it is not."""
    if inverse.const is None or s.const is None or inverse.const.shape != s.const.shape:
        return m.no("{} and {} have different shapes", inverse, s)
    products = inverse.const.numpy().astype(np.float64) * s.const.numpy().astype(np.float64)
    return None if np.allclose(products, 1, rtol=1e-5, atol=0) else m.no("{} is not 1 / {}", inverse, s)
