"""Products of integer matrices: how their scales are multiplied, what they are made from, and what zero points add to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from graphopt.ir import DType, Node, Tensor, TensorType, Value
from graphopt.match import Declined, Match, const, op, opt, product, rule, tensor
from graphopt.patterns.quantization_calls import dequantize
from graphopt.quantization import Quantization
from graphopt.quantization.nodes import plain_quantization
from graphopt.quantization.parameters import INT8_TYPES

# A product of two bytes is less than 2^16 in size, so sums of so many fit into int32.
MOST_SUMMED: Final = (2**31 - 1) // 255**2
SCALED: Final = "uint8[4,2] w = {1, 2, 3, 4, 5, 6, 7, 250}, float s = {0.1}, float[2] v = {0.1, 0.2}, uint8 k = {3}, uint8[2] l = {3, 255}"

dynamic = op.DynamicQuantizeLinear(tensor("x")).kept()
integers = op.MatMulInteger(dynamic, tensor("b"), dynamic.out(2), opt(tensor("b_zero")))


def examples(signature: str, head: str, *tails: str, opsets: tuple[int, ...] = (11, 17)) -> Callable[[], list[str]]:
    """Models of a product of a: (3, 4) and w: (4, 2)."""
    return lambda: [
        f'<ir_version: 8, opset_import: ["" : {opset}]> g {signature} <{SCALED}> {{ {head} {tail} }}' for opset in opsets for tail in tails
    ]


@rule(
    product(op.Cast(integers, to=int(DType.float32)).named("cast"), dynamic.out(1), tensor("b_scale")),
    exactness="rounding",
    keeps_type=True,
    examples=examples(
        "(float[3,4] x) => (float[3,2] y)",
        "q, s1, z1 = DynamicQuantizeLinear(x) i = MatMulInteger(q, w, z1, k) f = Cast<to = 1>(i)",
        "t = Mul(f, s1) y = Mul(t, v)",
        "t = Mul(v, f) y = Mul(s1, t)",
        "t = Mul(s, s1) y = Mul(t, f)",
    ),
)
def scales_first(m: Match, cast: Node, b_scale: Value) -> Value | Declined:
    """Cast(MatMulInteger(a, b)) * a_scale * b_scale  ->  Mul(Cast(MatMulInteger(a, b)), Mul(a_scale, b_scale))      rounding

    a, a_scale: of a DynamicQuantizeLinear. So onnxruntime makes one node of all, and only with a_scale first.
    """
    integers = cast.inputs[0]
    a = None if integers is None or integers.producer is None else integers.producer.inputs[0]
    if a is None or a.producer is None:
        return m.no("what is multiplied is not known")
    a_scale = a.producer.outputs[1]
    inner = [value.producer for value in m.root.inputs if value is not None and value is not cast.output]
    if len(inner) == 1 and inner[0] is not None and inner[0].op == "Mul" and inner[0].inputs[0] is a_scale:
        return m.no("it is so already")
    if b_scale.rank is None or b_scale.rank > 1:
        return m.no("{} is {}, not one number or one for each column", b_scale, b_scale.type)
    return m.op.Mul(cast.output, m.op.Mul(a_scale, b_scale))


@rule(
    op.MatMul(dequantize(tensor("a"), name="da"), dequantize(tensor("b"), name="db", is_kept=True)),
    exactness="rounding",
    keeps_type=True,
    examples=examples(
        "(uint8[3,4] a) => (float[3,2] y)",
        "d = DequantizeLinear(a, s, k)",
        "e = DequantizeLinear(w, s, k) y = MatMul(d, e)",
        "e = DequantizeLinear<axis = 1>(w, v, l) y = MatMul(d, e)",
        opsets=(13, 17),
    ),
)
def dequantized_matmul_to_integers(m: Match, da: Node, db: Node, a: Value, b: Value) -> Value | Declined:
    """MatMul(DequantizeLinear(a), DequantizeLinear(b))  ->  DequantizeLinear(MatMulInteger(a, b), sa * sb)           rounding

    a: int8 or uint8 with one scale, (..., K)   b: the same, or with one for each column, (K, N)   K: known, at most 33025.
    """
    left, right = plain_quantization(da), plain_quantization(db)
    if isinstance(left, str) or isinstance(right, str):
        return m.no("{}", left if isinstance(left, str) else right)
    if any(by.scale_dtype is not DType.float32 or by.dtype not in INT8_TYPES for by in (left, right)):
        return m.no("{} and {} of scales in {} and {}", left.dtype, right.dtype, left.scale_dtype, right.scale_dtype)
    if left.axis is not None or right.block or (right.axis is not None and (right.axis != 1 or b.rank != 2)):
        return m.no("the scales differ along what is summed, or along rows")
    if not a.rank or b.rank is None or b.rank < 2 or b.shape is None or not fits(b.shape[-2]):
        return m.no("how many products are summed is not known to be 1 to {}", MOST_SUMMED)
    with np.errstate(over="ignore", under="ignore"):
        scale = np.asarray(np.multiply(left.scale, right.scale))
    wide = np.abs(scale.astype(np.float64))
    if (wide < float(DType.float32.info.tiny)).any() or (wide * 2.0**31 > float(DType.float32.info.max)).any():
        return m.no("a product of scales is no normal number, or too great")
    zeros = (zero_points(m, da, left), zero_points(m, db, right))
    total = m.op.MatMulInteger(a, b, *(zeros if zeros[1] is not None else zeros[: 1 if zeros[0] is not None else 0]))
    total.type = TensorType(DType.int32, m.root.output.shape)
    axis = None if right.axis is None or m.root.output.rank is None else m.root.output.rank - 1
    if right.axis is not None and axis is None:
        return m.no("the rank of the product is not known")
    return m.call("DequantizeLinear", (total, m.constant(Tensor.of(scale, DType.float32), name="scale")), {"axis": axis})[0]


def fits(extent: object) -> bool:
    """Whether sums of so many products of bytes fit into int32."""
    return isinstance(extent, int) and 0 < extent <= MOST_SUMMED


def zero_points(m: Match, node: Node, by: Quantization) -> Value | None:
    """The zero points of a DequantizeLinear as an operand: a number, or one for each column; None where they are 0."""
    if by.is_symmetric:
        return None
    return m.constant(Tensor.of(by.zero_point, by.dtype), name=f"{node.output.name}_zero_point")


@rule(
    op.MatMulInteger(tensor("a"), tensor("b"), opt(const("a_zero")), opt(const("b_zero"))),
    examples=examples(
        "(uint8[3,4] a) => (int32[3,2] y)",
        "",
        "y = MatMulInteger(a, w, k, l)",
        "y = MatMulInteger(a, w, k)",
        "y = MatMulInteger(a, w, k, k)",
    ),
)
def matmulinteger_without_zero_points(m: Match, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> Value | Declined:
    """MatMulInteger(a, b, za, zb)  ->  MatMulInteger(a, b) - zb * rows - (za * columns - K * za * zb)

    rows: the sums of the rows of a, (..., 1); columns: those of the columns of b, (1, N). a: (..., K)   b: (K, N)   za: one number
    zb: one, or (N,). Exact in int32, which wraps around.
    """
    za, zb = integers_of(a_zero), integers_of(b_zero)
    if not za.any() and not zb.any():
        return m.no("the zero points are 0, or there are none")
    depth, columns = b.shape if b.shape is not None and len(b.shape) == 2 else (None, None)
    if za.size != 1 or zb.ndim > 1 or a.rank is None or a.rank < 2 or not isinstance(depth, int) or not fits(depth):
        return m.no("{} and {} with such zero points are no matrices of known depth, at most {}", a, b, MOST_SUMMED)
    if not isinstance(columns, int) or zb.size not in (1, columns):
        return m.no("how many columns {} has is not known", b)
    total = m.op.MatMulInteger(a, b)
    if zb.any():
        rows = m.op.ReduceSum(cast(m, a), axes(m, a.rank - 1), keepdims=1)
        total = m.op.Sub(total, m.op.Mul(rows, m.constant(zb.astype(np.int32), DType.int32, name="b_zero")))
    if not za.any():
        return total
    if b.const is not None:
        sums = b.const.numpy().astype(np.int64).sum(axis=0)
        return m.op.Sub(total, m.constant((za.reshape(()) * (sums - depth * zb)).astype(np.int32), DType.int32, name="column_sums"))
    factor = m.constant(za.reshape(()).astype(np.int32), DType.int32, name="a_zero")
    left = m.op.Sub(total, m.op.Mul(m.op.ReduceSum(cast(m, b), axes(m, 0), keepdims=1), factor))
    if not zb.any():
        return left
    return m.op.Add(left, m.constant((depth * za.reshape(()) * zb).astype(np.int32), DType.int32, name="zero_points"))


def integers_of(zero: Value | None) -> npt.NDArray[np.int64]:
    """Zero points as numbers; 0 where there are none."""
    return np.zeros((), np.int64) if zero is None or zero.const is None else zero.const.numpy().astype(np.int64)


def cast(m: Match, value: Value) -> Value:
    """Integers as int32."""
    return m.op.Cast(value, to=int(DType.int32))


def axes(m: Match, axis: int) -> Value:
    """One axis, as an operand."""
    return m.constant([axis], DType.int64, name="axes")
