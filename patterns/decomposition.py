"""Activations, softmaxes and reductions said by simpler operators, for runtimes that lack them.

Each is the operator's definition written out, the softmaxes and ReduceLogSumExp after the greatest element is subtracted, as runtimes do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import FLOATING, Call, Declined, Match, attr, op, opt, rule, tensor
from graphopt.patterns.noop import numbers

WIDE: Final = (DType.float32, DType.float64)  # in the halves the parts overflow, or round away, where the whole does not

x = tensor("x")


@rule(op.HardSwish(x), dtype=FLOATING, exactness="rounding")
def hard_swish_to_parts(m: Match, x: Value) -> Value:
    """HardSwish(x)  ->  x * HardSigmoid<alpha = 1 / 6, beta = 0.5>(x)"""
    return m.op.Mul(x, m.op.HardSigmoid(x, alpha=1 / 6, beta=0.5))


@rule(op.Swish(x, alpha=attr("alpha")), dtype=WIDE, exactness="rounding")
def swish_to_parts(m: Match, x: Value, alpha: float) -> Value:
    """Swish(x)  ->  x * Sigmoid(alpha * x)"""
    scaled = x if alpha == 1 else m.op.Mul(x, m.constant(np.float64(alpha), x.dtype))
    return m.op.Mul(x, m.op.Sigmoid(scaled))


@rule(op.Mish(x), dtype=WIDE, exactness="rounding")
def mish_to_parts(m: Match, x: Value) -> Value:
    """Mish(x)  ->  x * Tanh(Softplus(x))"""
    return m.op.Mul(x, m.op.Tanh(m.op.Softplus(x)))


@rule(op.Gelu(x, approximate="none"), dtype=DType.float32, exactness="rounding")
def gelu_to_parts(m: Match, x: Value) -> Value:
    """Gelu(x)  ->  (0.5 * x) * (1 + Erf(x / sqrt(2)))"""
    gate = m.op.Add(m.op.Erf(m.op.Mul(x, m.constant(0.5**0.5, x.dtype))), m.constant(1.0, x.dtype))
    return m.op.Mul(m.op.Mul(x, m.constant(0.5, x.dtype)), gate)


@rule(op.Gelu(x, approximate="tanh"), dtype=DType.float32, exactness="rounding")
def gelu_tanh_to_parts(m: Match, x: Value) -> Value:
    """Gelu<approximate = "tanh">(x)  ->  (0.5 * x) * (1 + Tanh(x * (c + 0.044715 * c * x^2)))        c = sqrt(2 / pi)"""
    slope = (2 / np.pi) ** 0.5
    cubic = m.op.Add(m.op.Mul(m.op.Mul(x, x), m.constant(0.044715 * slope, x.dtype)), m.constant(slope, x.dtype))
    gate = m.op.Add(m.op.Tanh(m.op.Mul(x, cubic)), m.constant(1.0, x.dtype))
    return m.op.Mul(m.op.Mul(x, m.constant(0.5, x.dtype)), gate)


# ---- softmax


def along(m: Match, x: Value, axis: int) -> Value | Declined:
    """The axis as a reduction takes it; the axis must have elements, or there is no greatest one."""
    if x.shape is None or not -len(x.shape) <= axis < len(x.shape):
        return m.no("the rank of {} is unknown", x)
    extent = x.shape[axis]
    if not isinstance(extent, int) or extent < 1:
        return m.no("axis {} of {} may have no elements", axis, x)
    return m.constant([axis % len(x.shape)], DType.int64)


@rule(op.Softmax(x, axis=attr("axis")), dtype=WIDE, exactness="rounding")
def softmax_to_parts(m: Match, x: Value, axis: int) -> Value | Declined:
    """Softmax(x)  ->  e / ReduceSum(e)                          e = Exp(x - ReduceMax(x))"""
    axes = along(m, x, axis)
    if isinstance(axes, Declined):
        return axes
    raised = m.op.Exp(m.op.Sub(x, m.op.ReduceMax(x, axes, keepdims=1)))
    return m.op.Div(raised, m.op.ReduceSum(raised, axes, keepdims=1))


@rule(op.LogSoftmax(x, axis=attr("axis")), dtype=WIDE, exactness="rounding")
def log_softmax_to_parts(m: Match, x: Value, axis: int) -> Value | Declined:
    """LogSoftmax(x)  ->  d - Log(ReduceSum(Exp(d)))             d = x - ReduceMax(x)"""
    axes = along(m, x, axis)
    if isinstance(axes, Declined):
        return axes
    lowered = m.op.Sub(x, m.op.ReduceMax(x, axes, keepdims=1))
    return m.op.Sub(lowered, m.op.Log(m.op.ReduceSum(m.op.Exp(lowered), axes, keepdims=1)))


# ---- reductions


def reduction(op_type: str) -> Call:
    """The pattern of a reduction that reduces."""
    build = op[op_type]
    call: Call = build(x, opt(tensor("axes")), keepdims=attr("keepdims"), noop_with_empty_axes=0)
    return call


@rule(reduction("ReduceL1"), dtype=FLOATING, exactness="rounding")
def reduce_l1_to_parts(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceL1(x, axes)  ->  ReduceSum(Abs(x), axes)"""
    return m.op.ReduceSum(m.op.Abs(x), axes, keepdims=keepdims)


@rule(reduction("ReduceL2"), dtype=WIDE, exactness="rounding")
def reduce_l2_to_parts(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceL2(x, axes)  ->  Sqrt(ReduceSum(x * x, axes))"""
    return m.op.Sqrt(m.op.ReduceSum(m.op.Mul(x, x), axes, keepdims=keepdims))


@rule(reduction("ReduceSumSquare"), dtype=WIDE, exactness="rounding")
def reduce_sum_square_to_parts(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceSumSquare(x, axes)  ->  ReduceSum(x * x, axes)"""
    return m.op.ReduceSum(m.op.Mul(x, x), axes, keepdims=keepdims)


@rule(reduction("ReduceLogSum"), dtype=WIDE, exactness="rounding")
def reduce_log_sum_to_parts(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceLogSum(x, axes)  ->  Log(ReduceSum(x, axes))"""
    return m.op.Log(m.op.ReduceSum(x, axes, keepdims=keepdims))


@rule(reduction("ReduceLogSumExp"), dtype=WIDE, since=10, exactness="approximate")
def reduce_log_sum_exp_to_parts(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value | Declined:
    """ReduceLogSumExp(x, axes)  ->  Log(ReduceSum(Exp(x - s), axes)) + s         s = ReduceMax(x, axes), or 0 where that is infinite

    Approximate: of an infinity this makes an infinity, onnxruntime's own kernel NaN.
    """
    if x.shape is None or not all(isinstance(size, int) and size > 0 for size in x.shape) or not x.shape:
        return m.no("{} may have no elements, and so no greatest one", x)
    if (axes is not None and not numbers(axes)) or keepdims not in (0, 1):
        return m.no("the axes {} are not constant, or all; or keepdims is {}", axes, keepdims)
    greatest = m.op.ReduceMax(x, axes, keepdims=1)
    shift = m.op.Where(m.op.IsInf(greatest), m.constant(0.0, x.dtype), greatest)
    result = m.op.Add(m.op.Log(m.op.ReduceSum(m.op.Exp(m.op.Sub(x, shift)), axes, keepdims=1)), shift)
    if keepdims:
        return result
    every = range(len(x.shape)) if axes is None else numbers(axes) or ()
    return m.op.Squeeze(result, m.constant(list(every), DType.int64))
