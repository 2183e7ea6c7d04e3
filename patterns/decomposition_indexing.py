"""Operators with one parameter that some runtimes lack, said without it."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Tensor, Value
from graphopt.match import INTEGERS, Call, Declined, Match, attr, op, opt, rule, tensor

FIRST: Final = -(2**31) + 1  # as an end of a Slice that runs backwards: before the first element of any axis

x = tensor("x")


def last_index(op_type: str) -> Call:
    """The pattern of the last index of the greatest (or smallest) element."""
    build = op[op_type]
    call: Call = build(x, axis=attr("axis"), keepdims=attr("keepdims"), select_last_index=1)
    return call


def counted_from_the_back(m: Match, x: Value, axis: int, keepdims: int, op_type: str) -> Value | Declined:
    """The last index is the first one of the reversed axis, counted from the back."""
    extent = x.shape[axis] if x.shape is not None and -len(x.shape) <= axis < len(x.shape) else None
    if not isinstance(extent, int):
        return m.no("the extent of axis {} of {} is not known", axis, x)
    backwards = m.op.Slice(x, *(m.constant([number], DType.int64) for number in (-1, FIRST, axis, -1)))
    index = m.op[op_type](backwards, axis=axis, keepdims=keepdims)
    return m.op.Sub(m.constant(extent - 1, DType.int64), index)


# Integers: of floats a NaN may be the greatest, from either side.
@rule(last_index("ArgMax"), dtype=INTEGERS)
def arg_max_last(m: Match, x: Value, axis: int, keepdims: int) -> Value | Declined:
    """ArgMax<select_last_index = 1>(x)  ->  extent - 1 - ArgMax(Slice(x, backwards))"""
    return counted_from_the_back(m, x, axis, keepdims, "ArgMax")


@rule(last_index("ArgMin"), dtype=INTEGERS)
def arg_min_last(m: Match, x: Value, axis: int, keepdims: int) -> Value | Declined:
    """ArgMin<select_last_index = 1>(x)  ->  extent - 1 - ArgMin(Slice(x, backwards))"""
    return counted_from_the_back(m, x, axis, keepdims, "ArgMin")


@rule(
    op.Conv(
        x, tensor("w"), opt(tensor("b")), auto_pad="NOTSET", pads=attr("pads"), dilations=attr("dilations"), group=attr("group"),
        kernel_shape=attr("kernel_shape"), strides=attr("strides"),
    )
)  # fmt: skip
def conv_padding_to_pad(
    m: Match, x: Value, w: Value, b: Value | None, pads: tuple[int, ...] | None, dilations: object, group: int, kernel_shape: object,
    strides: object,
) -> Value | Declined:  # fmt: skip
    """Conv<pads = p>(x, w, b)  ->  Conv(Pad(x, [0, 0, p]), w, b)"""
    if pads is None or not any(pads):
        return m.no("nothing is padded")
    half = len(pads) // 2
    padded = m.op.Pad(x, m.constant([0, 0, *pads[:half], 0, 0, *pads[half:]], DType.int64))
    return m.op.Conv(padded, w, b, dilations=dilations, group=group, kernel_shape=kernel_shape, strides=strides)


@rule(op.ConstantOfShape(tensor("shape", rank=1), value=attr("value")), keeps_type=True)  # both return the shape that they read
def constant_of_shape_to_expand(m: Match, shape: Value, value: Tensor | None) -> Value:
    """ConstantOfShape<value = v>(shape)  ->  Expand(v, shape)"""
    scalar = Tensor.of(np.float32(0)) if value is None else Tensor(value.dtype, (), value.storage)
    return m.op.Expand(m.constant(scalar), shape)
