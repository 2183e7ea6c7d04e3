"""Norms and logarithms of sums, written in steps."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import FLOATING, Call, Match, Pattern, any_of, attr, op, opt, rule, tensor

x, axes = tensor("x"), opt(tensor("axes"))
square = any_of(op.Mul(x, x), op.Pow(x, 2))


def total(of: Pattern, operator: str = "ReduceSum") -> Call:
    """The pattern of a sum along some axes."""
    return op[operator](of, axes, keepdims=attr("keepdims"), noop_with_empty_axes=0)


@rule(total(op.Abs(x)), dtype=FLOATING, exactness="rounding")
def sum_of_absolutes_to_reducel1(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceSum(Abs(x), axes)  ->  ReduceL1(x, axes)                           rounding"""
    return m.op.ReduceL1(x, axes, keepdims=keepdims)


@rule(op.Sqrt(any_of(total(square), total(x, "ReduceSumSquare"))), dtype=FLOATING, exactness="rounding")
def root_of_squares_to_reducel2(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """Sqrt(ReduceSum(Mul(x, x), axes))  ->  ReduceL2(x, axes)                  rounding        also of Pow(x, 2), ReduceSumSquare"""
    return m.op.ReduceL2(x, axes, keepdims=keepdims)


@rule(total(square), dtype=FLOATING, exactness="rounding")
def sum_of_squares_to_reducesumsquare(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """ReduceSum(Mul(x, x), axes)  ->  ReduceSumSquare(x, axes)                 rounding        also of Pow(x, 2)"""
    return m.op.ReduceSumSquare(x, axes, keepdims=keepdims)


@rule(op.Log(total(x)), dtype=FLOATING, exactness="rounding")
def log_of_sum_to_reducelogsum(m: Match, x: Value, axes: Value | None, keepdims: int) -> Value:
    """Log(ReduceSum(x, axes))  ->  ReduceLogSum(x, axes)                       rounding"""
    return m.op.ReduceLogSum(x, axes, keepdims=keepdims)
