"""Bounds on quantized numbers: those that bound nothing, and those of a narrower type."""

from __future__ import annotations

from typing import Final

from graphopt.ir import DType, Node, Value
from graphopt.ir.tensor import Array
from graphopt.match import INTEGERS, Declined, Match, const, op, opt, rule, tensor
from graphopt.quantization import Quantization, limits, quantization_of
from graphopt.schema.spelling import neutral_attributes

NARROW: Final = {DType.int4: 21, DType.uint4: 21, DType.int2: 25, DType.uint2: 25}  # since which opset
low, high = opt(const("low")), opt(const("high"))


def clip_examples() -> list[str]:
    """Models with bounds of the whole type, on one side or on both."""
    return [
        f'<ir_version: 7, opset_import: ["" : {opset}]> g ({kind}[2,3] x) => ({kind}[2,3] y)'
        f" <{kind} a = {{{least}}}, {kind} b = {{{most}}}> {{ y = Clip({bounds}) }}"
        for kind, least, most in (("int8", -128, 127), ("uint8", 0, 255), ("int32", -(2**31), 2**31 - 1))
        for opset in (12, 13)
        for bounds in ("x, a, b", "x, a", "x, , b")
    ]


@rule(op.Clip(tensor("x"), low, high), dtype=INTEGERS, keeps_type=True, examples=clip_examples)
def clip_of_whole_range(m: Match, x: Value, low: Value | None, high: Value | None) -> Value | Declined:
    """Clip(x, low, high)  ->  x                       integers; low and high are the least and the greatest of their type"""
    dtype = m.root.output.dtype
    if dtype is None or (low is None and high is None):
        return m.no("it has no bounds")
    least, most = dtype.info.min, dtype.info.max
    if (low is not None and one_integer(low) != least) or (high is not None and one_integer(high) != most):
        return m.no("{} and {} are not the bounds of {}", low, high, dtype)
    return x


def one_integer(value: Value) -> int | None:
    """The one element of a constant of integers."""
    held = value.const
    return int(held.numpy().reshape(-1)[0]) if held is not None and held.size == 1 else None


def narrow_examples() -> list[str]:
    """Models whose quantized numbers are bounded as int4 and uint2 are, or constant and as small."""
    held = "float s = {0.1}, float[3] sc = {0.1, 0.2, 0.3}, int8 z = {1}, int8[3] zc = {0, 1, 2}"
    bounds = "int8 a = {-8}, int8 b = {7}, int8 c = {0}, int8 d = {3}"
    bodies = (
        "q = QuantizeLinear(x, s, z) t = Clip(q, a, b) y = DequantizeLinear(t, s, z)",
        "q = QuantizeLinear<axis = 1>(x, sc, zc) t = Clip(q, c, d) y = DequantizeLinear<axis = 1>(t, sc, zc)",
    )
    return [
        f'<ir_version: 10, opset_import: ["" : {opset}]> g (float[2,3] x) => (float[2,3] y) <{held}, {bounds}> {{ {body} }}'
        for opset in (21, 25)
        for body in bodies
    ]


s, z = tensor("s"), tensor("z")
quantized = op.QuantizeLinear(tensor("x"), s, z).named("quantize")


@rule(
    op.DequantizeLinear(op.Clip(quantized, const("low"), const("high")), tensor("t"), tensor("u")).named("dequantize"),
    since=min(NARROW.values()),
    keeps_type=True,
    examples=narrow_examples,
)
def clipped_pair_to_narrow_pair(
    m: Match, quantize: Node, dequantize: Node, x: Value, s: Value, low: Value, high: Value
) -> Value | Declined:
    """DequantizeLinear(Clip(QuantizeLinear(x, s, z), low, high), s, z)  ->  DequantizeLinear(QuantizeLinear(x, s, z'), s, z')

    low, high: the bounds of a type of 4 or 2 bits, of which z' is.
    """
    by = quantization_of(quantize)
    if not isinstance(by, Quantization) or by != quantization_of(dequantize):
        return m.no("{} and {} are not known to have equal parameters", quantize, dequantize)
    bounds = one_integer(low), one_integer(high)
    narrow = next((dtype for dtype in narrow_types(m) if limits(dtype) == bounds), None)
    if narrow is None or not holds_all(narrow, by.zero_point):
        return m.no("{} and {} are not the bounds of a type of 4 or 2 bits that has the zero points too", low, high)
    zero = zero_points(m, quantize, by, narrow)
    q = m.op.QuantizeLinear(x, s, zero, **neutral_attributes(quantize, "axis", "block_size", "precision"))
    return m.op.DequantizeLinear(q, s, zero, **neutral_attributes(dequantize, "axis", "block_size", "output_dtype"))


def constant_examples() -> list[str]:
    """Models with constants that fit into 4 and into 2 bits."""
    held = "float s = {0.1}, int8 z = {1}, int8[2,3] q = {-8, 7, 0, 1, 2, 3}, uint8 v = {1}, uint8[5] u = {3, 2, 1, 0, 3}"
    return [
        f'<ir_version: 10, opset_import: ["" : {opset}]> g (float[2,3] x) => (float[2,3] y) <{held}>'
        f" {{ d = DequantizeLinear({call}) e = ReduceSum(d) y = Add(x, e) }}"
        for opset in (21, 25)
        for call in ("q, s, z", "u, s, v", "q, s")
    ]


@rule(
    op.DequantizeLinear(const("q", dtype={DType.int8, DType.uint8}), s, opt(tensor("z"))).named("dequantize"),
    since=min(NARROW.values()),
    keeps_type=True,
    examples=constant_examples,
)
def dequantized_constant_to_narrow_constant(m: Match, dequantize: Node, q: Value, s: Value, z: Value | None) -> Value | Declined:
    """DequantizeLinear(q, s, z)  ->  DequantizeLinear(q', s, z')             q': as many constants of 4 or 2 bits"""
    by = quantization_of(dequantize)
    if isinstance(by, str) or q.const is None:
        return m.no("{}", by)
    if sum(q.users.values()) > 1:
        return m.no("{} is read elsewhere too", q)
    held = q.const.numpy()
    fitting = [dtype for dtype in narrow_types(m) if holds_all(dtype, by.zero_point) and holds_all(dtype, held)]
    narrow = min(fitting, key=width, default=None)
    if narrow is None or not held.size:
        return m.no("{} or its zero points need more than 4 bits", q)
    zero = None if z is None else zero_points(m, dequantize, by, narrow)
    stored = m.constant(held.astype(narrow.numpy), narrow, name=q.name)
    return m.op.DequantizeLinear(stored, s, zero, **neutral_attributes(dequantize, "axis", "block_size", "output_dtype"))


def narrow_types(m: Match) -> list[DType]:
    """The narrow types of the model's opset."""
    return [dtype for dtype, since in NARROW.items() if since <= (m.opset() or 0)]


def width(dtype: DType) -> int:
    """How many bits an element takes."""
    return dtype.bits


def holds_all(dtype: DType, numbers: Array) -> bool:
    """Whether a type has all of these numbers."""
    least, most = limits(dtype)
    return not numbers.size or bool(least <= numbers.min() and numbers.max() <= most)


def zero_points(m: Match, node: Node, by: Quantization, dtype: DType) -> Value:
    """The zero points as a constant of another type, in the shape that the scale has."""
    scale, zero = node.inputs[1], node.input(2)
    shape = by.zero_point.shape if scale is None or scale.const is None else scale.const.shape
    return m.constant(by.zero_point.reshape(shape).astype(dtype.numpy), dtype, name="zero_point" if zero is None else zero.name)
