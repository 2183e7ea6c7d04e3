"""Products of integers that are scaled afterwards, as products of numbers that are dequantized before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from graphopt.ir import DType, Node, TensorType, Value
from graphopt.match import Declined, Match, const, domain, op, opt, product, rule, tensor
from graphopt.patterns.quantized_examples import models
from graphopt.patterns.quantized_parts import are_scales, dequantized, together

ms = domain("com.microsoft")
FLOAT32 = int(DType.float32)


def is_scale(value: Value) -> bool:
    """Whether a value is a scale that is positive and finite: a constant, or what a DynamicQuantizeLinear found."""
    if value.const is not None:
        return are_scales(value.const.numpy())
    return value.producer is not None and value.producer.op == "DynamicQuantizeLinear" and value.index == 1


a_scale = tensor("a_scale", dtype=DType.float32, where=is_scale)
b_scale = const("b_scale", dtype=DType.float32, where=are_scales)
zeros = opt(tensor("a_zero", where=lambda value: value.rank in (0, 1))), opt(const("b_zero", where=lambda held: held.ndim <= 1))

matmul_integer = op.Cast(op.MatMulInteger(tensor("a"), tensor("b"), *zeros), to=FLOAT32, saturate=1)
conv_integer = op.Cast(op.ConvInteger(tensor("a"), tensor("b"), *zeros).named("conv"), to=FLOAT32, saturate=1)


@rule(product(matmul_integer, a_scale, b_scale), exactness="rounding", keeps_type=True, examples=models("MatMulInteger"))
def matmulinteger_to_matmul(
    m: Match, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None, a_scale: Value, b_scale: Value
) -> Value | Declined:
    """Cast(MatMulInteger(a, b)) * a_scale * b_scale  ->  MatMul(Dequantize(a), Dequantize(b))       rounding

    a_scale: one element, constant or of a DynamicQuantizeLinear. b_scale: constant, one element or one for each column of the matrix b.
    """
    return multiplied(m, (a, a_scale, a_zero), (b, b_scale, b_zero))


@rule(op.Mul(matmul_integer, b_scale), exactness="rounding", keeps_type=True, examples=models("MatMulInteger of one scale"))
def matmulinteger_mul_to_matmul(
    m: Match, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None, b_scale: Value
) -> Value | Declined:
    """Cast(MatMulInteger(a, b)) * b_scale  ->  MatMul(Dequantize(a), Dequantize(b))                 rounding

    a has the scale 1; b_scale: as above.
    """
    return multiplied(m, (a, m.constant(1.0, DType.float32, name=f"{a.name}_scale"), a_zero), (b, b_scale, b_zero))


@rule(product(conv_integer, a_scale, b_scale), exactness="rounding", keeps_type=True, examples=models("ConvInteger"))
def convinteger_to_conv(
    m: Match, conv: Node, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None, a_scale: Value, b_scale: Value
) -> Value | Declined:
    """Cast(ConvInteger(a, b)) * a_scale * b_scale  ->  Conv(Dequantize(a), Dequantize(b))           rounding

    a_scale: one element, constant or of a DynamicQuantizeLinear. b_scale: constant, one element or (C, 1, 1), one for each channel.
    """
    return convolved(m, conv, (a, a_scale, a_zero), (b, b_scale, b_zero))


@rule(op.Mul(conv_integer, b_scale), exactness="rounding", keeps_type=True, examples=models("ConvInteger of one scale"))
def convinteger_mul_to_conv(
    m: Match, conv: Node, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None, b_scale: Value
) -> Value | Declined:
    """Cast(ConvInteger(a, b)) * b_scale  ->  Conv(Dequantize(a), Dequantize(b))                     rounding

    a has the scale 1; b_scale: as above.
    """
    return convolved(m, conv, (a, m.constant(1.0, DType.float32, name=f"{a.name}_scale"), a_zero), (b, b_scale, b_zero))


@rule(
    ms.MatMulIntegerToFloat(tensor("a"), tensor("b"), a_scale, b_scale, *zeros, opt(tensor("c"))),
    exactness="rounding",
    keeps_type=True,
    examples=models("MatMulIntegerToFloat"),
)
def matmulintegertofloat_to_matmul(
    m: Match, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None, a_scale: Value, b_scale: Value, c: Value | None
) -> Value | Declined:
    """MatMulIntegerToFloat(a, b, c)  ->  Add(MatMul(Dequantize(a), Dequantize(b)), c)               rounding

    a_scale: one element, constant or of a DynamicQuantizeLinear. b_scale: constant, one element or one for each column of the matrix b.
    """
    made = multiplied(m, (a, a_scale, a_zero), (b, b_scale, b_zero))
    return made if c is None or isinstance(made, Declined) else m.op.Add(made, c)


@rule(
    ms.DynamicQuantizeMatMul(tensor("a", dtype=DType.float32), tensor("b"), b_scale, zeros[1], opt(tensor("c"))),
    exactness="rounding",
    keeps_type=True,
    examples=models("DynamicQuantizeMatMul"),
)
def dynamicquantizematmul_to_matmul(
    m: Match, a: Value, b: Value, b_scale: Value, b_zero: Value | None, c: Value | None
) -> Value | Declined:
    """DynamicQuantizeMatMul(a, b, c)  ->  Add(MatMul(Dequantize(DynamicQuantizeLinear(a)), Dequantize(b)), c)       rounding

    b_scale: constant, one element or one for each column of the matrix b.
    """
    integers, scale, zero = m.call("DynamicQuantizeLinear", (a,), {}, outputs=3)
    integers.type, scale.type, zero.type = TensorType(DType.uint8, a.shape), TensorType(DType.float32, ()), TensorType(DType.uint8, ())
    made = multiplied(m, (integers, scale, zero), (b, b_scale, b_zero))
    return made if c is None or isinstance(made, Declined) else m.op.Add(made, c)


Part: TypeAlias = "tuple[Value, Value, Value | None]"  # numbers, their scale, their zero point


def multiplied(m: Match, first: Sequence[Value | None], second: Part) -> Value | Declined:
    """The product of two dequantized operands, the second with scales per column if it is a matrix."""
    a, a_scale, _ = first
    b, b_scale, _ = second
    if a is None or a.rank is None or b.rank is None:
        return m.no("the ranks of what is multiplied are not known")
    rank = max(a.rank, b.rank) - (a.rank == 1) - (b.rank == 1)
    if not is_along(a_scale, None, b, rank) or not is_along(b_scale, -1 if b.rank == 2 else None, b, rank):
        return m.no("{} and {} are not one scale, and one for each column of {}", a_scale, b_scale, b)
    found = together([dequantized(m, first), dequantized(m, second, axis=1)])
    return found if isinstance(found, Declined) else m.op.MatMul(*found)


def convolved(m: Match, conv: Node, first: Part, second: Part) -> Value | Declined:
    """The convolution of dequantized operands, the second with scales per channel of the result."""
    w, w_scale, _ = second
    if w.rank is None or not is_along(first[1], None, w, w.rank) or not is_along(w_scale, 1 - w.rank, w, w.rank):
        return m.no("{} and {} are not one scale, and one for each channel of {}", first[1], w_scale, w)
    found = together([dequantized(m, first), dequantized(m, second, axis=0)])
    return found if isinstance(found, Declined) else m.op.Conv(*found, **conv.attributes)


def is_along(scale: Value | None, axis: int | None, weights: Value, rank: int) -> bool:
    """Whether a scale is one element, or varies along an axis of a result, counted from -1, as the channels of its weights do.

    `rank` is the result's, which no scale may raise.
    """
    if scale is None or scale.shape is None or len(scale.shape) > rank:
        return False
    if all(size == 1 for size in scale.shape):
        return True
    channels = None if weights.shape is None or axis is None else weights.shape[-1 if axis == -1 else 0]
    places = [index - len(scale.shape) for index, size in enumerate(scale.shape) if size != 1]
    return places == [axis] and scale.shape[places[0]] == channels
