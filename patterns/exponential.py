"""Softmax and its logarithm, written out with the largest element taken away first."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import FLOATING, Declined, Match, op, opt, rule, tensor
from graphopt.patterns.noop import numbers

x, axes = tensor("x"), opt(tensor("axes"))
below_largest = op.Sub(x, op.ReduceMax(x, axes, keepdims=1, noop_with_empty_axes=0))
exponential = op.Exp(below_largest)
total = op.ReduceSum(exponential, axes, keepdims=1, noop_with_empty_axes=0)


@rule(op.Div(exponential, total), dtype=FLOATING, exactness="rounding")
def exp_div_sum_to_softmax(m: Match, x: Value, axes: Value | None) -> Value | Declined:
    """Div(e, ReduceSum(e, axis)), e = Exp(Sub(x, ReduceMax(x, axis)))  ->  Softmax<axis>(x)            rounding

    The last axis. Without the ReduceMax the exponentials may overflow, which a Softmax does not: that stays.
    """
    reason = not_the_last(m, x, axes)
    return reason if reason is not None else m.op.Softmax(x, axis=-1)


@rule(op.Sub(below_largest, op.Log(total)), dtype=FLOATING, exactness="rounding")
def sub_log_sum_to_logsoftmax(m: Match, x: Value, axes: Value | None) -> Value | Declined:
    """Sub(d, Log(ReduceSum(Exp(d), axis))), d = Sub(x, ReduceMax(x, axis))  ->  LogSoftmax<axis>(x)    rounding        the last axis"""
    reason = not_the_last(m, x, axes)
    return reason if reason is not None else m.op.LogSoftmax(x, axis=-1)


def not_the_last(m: Match, x: Value, axes: Value | None) -> Declined | None:
    """Why both reductions are not along the last axis alone; along the others onnxruntime transposes, which takes longer than the steps."""
    along = tuple(range(x.rank or 0)) if axes is None else numbers(axes)
    if x.rank is not None and along is not None and len(along) == 1 and along[0] in (-1, x.rank - 1):
        return None
    return m.no("the sum is along {} of {}, not along the last axis", "unknown axes" if along is None else along, x)
