"""Layer and RMS normalization: written out, and with the scale, the bias and the casts that exporters put around them.

A scale is put in the place of ones: the operators have to have one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.match import Call, Declined, Match, Pattern, any_of, attr, const, op, rule, tensor
from graphopt.match.conditions import broadcasts_into
from graphopt.patterns.moments import average, centered, epsilon_of, first_axis, normalized, ones, power, x
from graphopt.patterns.noop import all_one

# The square of a float16 overflows above 256: where the model computes in float16 that is what it does, and the operators do not.
# Of float64 the operators would lose digits: they compute in float32 when they follow their default.
WIDE: Final = (DType.float32, DType.bfloat16)

scale, bias = tensor("scale"), tensor("bias")
gain = const("gain", where=lambda array: bool(np.isfinite(array.astype(np.float64)).all()))
deviation = op.Sqrt(power(centered))
factor = any_of(op.Div(gain, deviation), op.Mul(gain, any_of(op.Reciprocal(deviation), op.Div(1, deviation))))
unit = const("unit", where=all_one)


def steps() -> list[str]:
    """Layer normalizations as TensorFlow's exporter writes them."""
    head = '<ir_version: 10, opset_import: ["" : 20]> g (float[N,S,4] x, float[4] b) => (float[N,S,4] y)'
    gain = "float[4] g = {1, 2, 3, -4}"
    last = "w = Add(v, e) r = Sqrt(w) k = Div(g, r) t = Mul(x, k) u = Mul(m, k) o = Sub(b, u) y = Add(t, o)"
    return [
        f"{head} <float e = {{0.001}}, {gain}> {{ m = GlobalAveragePool(x) d = Sub(x, m) s = Mul(d, d) v = GlobalAveragePool(s) {last} }}",
        f"""{head} <float e = {{0.001}}, int64[1] a = {{-1}}, {gain}> {{
            m = ReduceMean(x, a) d = Sub(x, m) s = Mul(d, d) v = ReduceMean(s, a) {last} }}""",
    ]


def cast_examples() -> list[str]:
    """RMS normalizations of float16, computed in float."""
    head = '<ir_version: 10, opset_import: ["" : 23]> g'
    return [
        f"""{head} (float16[N,4] x) => (float16[N,4] y) <float[4] one = {{1, 1, 1, 1}}> {{
            t = Cast<to = 1>(x) u = RMSNormalization<axis = {axis}>(t, one) y = Cast<to = 10>(u) }}"""
        for axis in (-1, 1)
    ]


def layer(of: Pattern, by: Pattern, *plus: Pattern) -> Pattern:
    """The pattern of a LayerNormalization that gives only its first output."""
    return op.LayerNormalization(of, by, *plus, axis=attr("axis"), epsilon=attr("epsilon"), stash_type=1).named("norm")


def cast(of: Pattern, to: object) -> Call:
    """The pattern of a Cast."""
    return op.Cast(of, to=to, saturate=attr("saturate"))


wide = cast(x, DType.float32).kept()


def rms(of: Pattern, by: Pattern) -> Pattern:
    """The pattern of an RMSNormalization."""
    return op.RMSNormalization(of, by, axis=attr("axis"), epsilon=attr("epsilon"), stash_type=1).named("norm")


@rule(normalized(centered), dtype=WIDE, since=17, exactness="rounding")
def div_sqrt_to_layernormalization(m: Match, x: Value) -> Value | Declined:
    """d / Sqrt(ReduceMean(d^2) + epsilon), d = x - ReduceMean(x)  ->  LayerNormalization(x, 1)         rounding

    Along the last axes, whose extents are known; the quotient also as a product with a reciprocal or a power.
    """
    return written_out(m, x, "LayerNormalization")


@rule(op.Add(op.Mul(x, factor), op.Sub(bias, op.Mul(average, factor))), dtype=WIDE, since=17, exactness="rounding", examples=steps)
def mul_add_to_layernormalization(m: Match, x: Value, gain: Value, bias: Value) -> Value | Declined:
    """x * k + (bias - ReduceMean(x) * k)  ->  LayerNormalization(x, gain, bias)                        rounding

    k = gain / Sqrt(ReduceMean((x - ReduceMean(x))^2) + epsilon), as TensorFlow writes it. Along the last axes; gain and bias of
    their shape, gain constant and finite: the difference of two infinities is none.
    """
    epsilon, axis = epsilon_of(m), first_axis(m, x)
    if isinstance(epsilon, Declined):
        return epsilon
    if isinstance(axis, Declined):
        return axis
    if gain.shape != (x.shape or ())[axis:] or bias.shape != gain.shape or 0 in gain.shape:
        return m.no("{} is {}, {} is {}: not the axes of {} from {} on", gain, gain.type, bias, bias.type, x.type, axis)
    return m.op.LayerNormalization(x, gain, bias, axis=-1 if axis + 1 == x.rank else axis, epsilon=epsilon)


@rule(normalized(x), dtype=WIDE, since=23, exactness="rounding")
def div_sqrt_to_rmsnormalization(m: Match, x: Value) -> Value | Declined:
    """x / Sqrt(ReduceMean(x^2) + epsilon)  ->  RMSNormalization(x, 1)                                  rounding

    Along the last axes, whose extents are known; the quotient also as a product with a reciprocal or a power.
    """
    return written_out(m, x, "RMSNormalization")


@rule(cast(layer(wide, unit), attr("to")), dtype=DType.float16, since=17, exactness="rounding")
def cast_layernormalization(m: Match, norm: Node, x: Value, to: int) -> Value | Declined:
    """Cast<T>(LayerNormalization(Cast<float>(x), 1))  ->  LayerNormalization(x, 1)                     rounding

    x: of type T, which is float16. By its definition the operator computes in float32 and rounds before it scales.
    """
    return narrow(m, norm, x, to)


@rule(
    cast(rms(wide, unit), attr("to")),
    dtype=DType.float16,
    since=23,
    exactness="rounding",
    examples=cast_examples,
)
def cast_rmsnormalization(m: Match, norm: Node, x: Value, to: int) -> Value | Declined:
    """Cast<T>(RMSNormalization(Cast<float>(x), 1))  ->  RMSNormalization(x, 1)                         rounding

    x: of type T, which is float16. By its definition the operator computes in float32 and rounds before it scales.
    """
    return narrow(m, norm, x, to)


@rule(op.Mul(layer(x, unit), scale), since=17, exactness="rounding")
def layernormalization_mul(m: Match, norm: Node, x: Value, unit: Value, scale: Value) -> Value | Declined:
    """Mul(LayerNormalization(x, 1), scale)  ->  LayerNormalization(x, scale)   rounding    scale: of the shape of the ones"""
    return scaled(m, norm, x, unit, scale)


@rule(op.Mul(rms(x, unit), scale), since=23, exactness="rounding")
def rmsnormalization_mul(m: Match, norm: Node, x: Value, unit: Value, scale: Value) -> Value | Declined:
    """Mul(RMSNormalization(x, 1), scale)  ->  RMSNormalization(x, scale)       rounding    scale: of the shape of the ones"""
    return scaled(m, norm, x, unit, scale)


@rule(op.Add(layer(x, scale), bias), since=17, exactness="rounding")
def layernormalization_add(m: Match, norm: Node, x: Value, scale: Value, bias: Value) -> Value | Declined:
    """Add(LayerNormalization(x, scale), bias)  ->  LayerNormalization(x, scale, bias)    rounding    bias: of the shape of scale"""
    if bias.type is None or bias.type != scale.type:
        return m.no("{} is {}, the scale is {}", bias, bias.type or "of unknown type", scale.type or "unknown")
    return m.op.LayerNormalization(x, scale, bias, **norm.attributes)


def written_out(m: Match, x: Value, operator: str) -> Value | Declined:
    """The operator that normalizes, with ones for a scale."""
    epsilon, axis = epsilon_of(m), first_axis(m, x)
    if isinstance(epsilon, Declined):
        return epsilon
    if isinstance(axis, Declined):
        return axis
    by = ones(m, x, axis)
    if isinstance(by, Declined):
        return by
    # -1 where it says the same: it is the default
    return m.op[operator](x, by, axis=-1 if axis + 1 == x.rank else axis, epsilon=epsilon)


def narrow(m: Match, norm: Node, x: Value, to: int) -> Value | Declined:
    """The same operator on what was cast."""
    if x.dtype != to or x.rank is None:
        return m.no("{} is {}, the result is cast to {}", x, x.type or "of unknown type", DType(to))
    saturate = m.bindings["saturate"]
    if saturate not in (None, 0, 1):  # below opset 19 it is not there; of other numbers onnxruntime makes anything
        return m.no("saturate is {}, neither 0 nor 1", saturate)
    axis, unit = m.bindings["axis"] % x.rank, m.bindings["unit"]
    if not broadcasts_into(unit.shape, (x.shape or ())[axis:]):  # onnxruntime takes wider ones, and makes more than x has
        return m.no("the scale {} is {}: not provably inside the normalized axes", unit, unit.type)
    by = ones(m, x, axis)
    if isinstance(by, Declined):
        return by
    return m.op[norm.op](x, by, **norm.attributes)


def scaled(m: Match, norm: Node, x: Value, unit: Value, scale: Value) -> Value | Declined:
    """The same operator with another scale."""
    if scale.type is None or scale.type != unit.type:
        return m.no("{} is {}, the normalized axes are {}", scale, scale.type or "of unknown type", unit.type)
    return m.op[norm.op](x, scale, **norm.attributes)
