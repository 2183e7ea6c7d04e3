"""Reductions with one element to reduce, which is the result."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import INTEGERS, Call, Declined, Match, any_of, attr, op, opt, rule, tensor
from graphopt.patterns.noop import dimension, numbers


def reduction(op_type: str, noop_with_empty_axes: int) -> Call:
    """The pattern of a reduction."""
    build = op[op_type]
    call: Call = build(
        tensor("x"), opt(tensor("axes")), keepdims=attr("keepdims"), noop_with_empty_axes=noop_with_empty_axes
    )
    return call


SELECTING: Final = [reduction(op_type, 0) for op_type in ("ReduceMax", "ReduceMin", "ReduceProd")]
KEEPING: Final = [reduction(op_type, 1) for op_type in ("ReduceMax", "ReduceMin", "ReduceProd")]
SUMMING: Final = [reduction(op_type, 1) for op_type in ("ReduceSum", "ReduceMean")]


@rule(any_of(*SELECTING), keeps_type=True)
def reduction_of_one(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """ReduceMax(x, axes)  ->  x, or Squeeze(x, axes) without keepdims          ReduceMin and ReduceProd likewise

    Along the axes x has extent 1; without axes, along all.
    """
    return the_one_element(m, x, axes, keepdims)


@rule(reduction("ReduceSum", 0), dtype=INTEGERS, keeps_type=True)
def sum_of_one(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """ReduceSum(x, axes)  ->  x, or Squeeze(x, axes) without keepdims

    Along the axes x has extent 1; without axes, along all. Integers: of the float -0 runtimes make +0, as 0 + -0 is.
    """
    return the_one_element(m, x, axes, keepdims)


@rule(reduction("ReduceMean", 0), dtype=INTEGERS - {DType.int64, DType.uint64}, keeps_type=True)
def mean_of_one(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """ReduceMean(x, axes)  ->  x, or Squeeze(x, axes) without keepdims

    Along the axes x has extent 1; without axes, along all. Integers, as with ReduceSum; of 64 bits some runtimes divide as floats.
    """
    return the_one_element(m, x, axes, keepdims)


@rule(any_of(*KEEPING), keeps_type=True)
def reduction_of_nothing(m: Match, x: Value, axes: Value | None) -> Value | Declined:
    """ReduceMax<noop_with_empty_axes = 1>(x)  ->  x                            ReduceMin and ReduceProd likewise"""
    return x if has_no_axes(axes) else m.no("there are axes to reduce, or there may be")


@rule(any_of(*SUMMING), keeps_type=True, exactness="rounding")
def sum_of_nothing(m: Match, x: Value, axes: Value | None) -> Value | Declined:
    """ReduceSum<noop_with_empty_axes = 1>(x)  ->  x                            ReduceMean likewise

    By the text of the operator exact; but runtimes that add nothing up make +0 of -0, and round.
    """
    return x if has_no_axes(axes) else m.no("there are axes to reduce, or there may be")


def has_no_axes(axes: Value | None) -> bool:
    """Whether nothing is to be reduced."""
    return axes is None or numbers(axes) == ()


def the_one_element(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """x under the shape of the result."""
    along = () if axes is None else numbers(axes)
    if along is None:
        return m.no("the axes are not constant")
    if not along and x.rank is None:
        return m.no("all axes are reduced, and the rank of {} is unknown", x)
    along = along or tuple(range(x.rank or 0))
    for axis in along:
        if (size := dimension(x.shape, axis)) != 1:
            return m.no("the extent along axis {} is {}, not 1", axis, "unknown" if size is None else size)
    reduced = sorted({axis % x.rank for axis in along}) if x.rank else []
    if len(reduced) < len(along):
        return m.no("an axis is given twice")
    if keepdims == 1 or not along:
        return x
    return m.no("keepdims is {}", keepdims) if keepdims else m.op.Squeeze(x, m.constant(np.array(reduced, np.int64), name="axes"))
