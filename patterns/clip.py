"""Bounds one after the other: Clip, Relu, Min and Max."""

from __future__ import annotations

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import FLOATING, INTEGERS, NUMERIC, Declined, Match, any_of, const, op, opt, rule, tensor
from graphopt.patterns.sign import number

x = tensor("x")
low, high = opt(const("low")), opt(const("high"))


@rule(op.Clip(op.Clip(x, low, high), opt(const("least")), opt(const("most"))), dtype=NUMERIC, keeps_type=True)
def clip_clip(m: Match, x: Value, low: Value | None, high: Value | None, least: Value | None, most: Value | None) -> Value | Declined:
    """Clip(Clip(x, low, high), least, most)  ->  Clip(x, low', high')          low', high': low and high clipped to least and most"""
    return clipped(m, x, (low, high), (least, most))


@rule(op.Relu(op.Clip(x, low, high)), dtype=FLOATING, keeps_type=True, exactness="rounding")
def relu_clip(m: Match, x: Value, low: Value | None, high: Value | None) -> Value | Declined:
    """Relu(Clip(x, low, high))  ->  Clip(x, max(low, 0), max(high, 0))         rounding: of -0 either zero may come"""
    return clipped(m, x, (low, high), (zero(m), None))


@rule(op.Clip(op.Relu(x), low, high), dtype=FLOATING, keeps_type=True, exactness="rounding")
def clip_relu(m: Match, x: Value, low: Value | None, high: Value | None) -> Value | Declined:
    """Clip(Relu(x), low, high)  ->  Clip(x, max(low, 0), high)                 rounding: of -0 either zero may come"""
    return clipped(m, x, (zero(m), None), (low, high))


@rule(op.Min(op.Relu(x), const("high")), dtype=FLOATING, keeps_type=True, exactness="rounding")
def min_relu(m: Match, x: Value, high: Value) -> Value | Declined:
    """Min(Relu(x), high)  ->  Clip(x, 0, high)                                 rounding: of -0 either zero may come; high: one number"""
    return between(m, x, zero(m), high)


low_number, high_number = const("low"), const("high")


@rule(
    any_of(op.Min(op.Max(x, low_number), high_number), op.Max(op.Min(x, high_number), low_number)),
    dtype=NUMERIC,
    keeps_type=True,
    exactness="rounding",
)
def min_max(m: Match, x: Value, low: Value, high: Value) -> Value | Declined:
    """Min(Max(x, low), high)  ->  Clip(x, low, high)                           Max(Min(x, high), low) likewise            rounding

    low, high: one number each. Exact but for a bound of 0: of -0 either zero may come.
    """
    return between(m, x, low, high)


@rule(op.Clip(x), dtype=INTEGERS, keeps_type=True)
def clip_without_bounds(m: Match, x: Value) -> Value:
    """Clip(x)  ->  x                                  integers; of floats it makes finite numbers of infinities"""
    return x


def zero(m: Match) -> Value:
    """The number 0, in the type of the result."""
    dtype = m.root.output.dtype
    return m.constant(np.zeros((), None if dtype is None else dtype.numpy), dtype, name="zero")


def between(m: Match, x: Value, low: Value, high: Value) -> Value | Declined:
    """x clipped to two numbers, which may be of any rank that x has."""
    least, most = number(low), number(high)
    if x.const is not None or least is None or most is None or size(low) > size(high) or not np.isfinite([least, most]).all():
        return m.no("{} and {} are not two finite numbers in order", low, high)
    if (m.opset() or 0) < 12 and x.dtype is not DType.float32:
        found = x.dtype or "of unknown type"
        return m.no("before opset 12 some runtimes clip nothing but float32, and {} is {}; optimize with --opset 12", x, found)
    if any(bound.rank and (x.rank is None or bound.rank > x.rank) for bound in (low, high)):
        return m.no("{} or {} may have more dimensions than {}", low, high, x)
    return m.op.Clip(x, *(scalar(m, bound) for bound in (low, high)))


def scalar(m: Match, value: Value) -> Value:
    """A constant of one element without dimensions."""
    held = value.const
    return value if held is None or not held.shape else m.constant(held.numpy().reshape(()), held.dtype, name=value.name)


Range = tuple["Value | None", "Value | None"]


def clipped(m: Match, x: Value, inner: Range, outer: Range) -> Value | Declined:
    """x clipped to the range that is left of `inner` when it is clipped to `outer`."""
    given = [bound for bound in (*inner, *outer) if bound is not None]
    numbers = [number(bound) for bound in given]
    known = [held for held in numbers if held is not None]
    if len(known) < len(given) or not np.isfinite(known).all():
        return m.no("{} are not all finite numbers", given)
    if any(least is not None and most is not None and size(least) > size(most) for least, most in (inner, outer)):
        return m.no("a lower bound among {} is above its upper one", given)
    if len({np.signbit(held) for held in known if held == 0}) > 1:
        return m.no("of 0.0 and -0.0 either may come")
    least, most = inner_bound(inner[0], outer[0], outer), inner_bound(inner[1], outer[1], outer)
    if least is not None and most is not None and size(least) == size(most) == 0 and x.dtype in FLOATING:
        return m.no("of 0.0 and -0.0 either may come where both bounds are 0")
    return m.op.Clip(x, least, most)


def inner_bound(bound: Value | None, instead: Value | None, outer: Range) -> Value | None:
    """A bound clipped to a range; `instead` when there is none."""
    least, most = outer
    if bound is None:
        return instead
    if least is not None and size(bound) < size(least):
        return least
    return most if most is not None and size(bound) > size(most) else bound


def size(bound: Value) -> float:
    """A bound as a number; of integers of 64 bits nothing is lost that could change their order."""
    number = np.nan if bound.const is None else bound.const.item()
    return number if isinstance(number, (int, float)) else np.nan
