"""Conversions: one instead of two, and one that says what it converts to."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Tensor, Value
from graphopt.match import FLOATING, NUMERIC, Declined, Match, attr, each, op, rule, tensor

x = tensor("x")

# Bits of the whole numbers that a type holds exactly, counting from 0; of a float, its significand.
WHOLE: Final = {DType.float16: 11, DType.bfloat16: 8, DType.float32: 24, DType.float64: 53}
# What a float type holds exactly besides itself.
WIDER: Final = {
    DType.float16: (DType.float32, DType.float64),
    DType.bfloat16: (DType.float32, DType.float64),
    DType.float32: (DType.float64,),
    DType.float64: (),
}


@rule(op.CastLike(x, tensor("like")).named("cast"), keeps_type=True)
def cast_like_to_cast(m: Match, cast: Node, x: Value, like: Value) -> Value | Declined:
    """CastLike(x, like)  ->  Cast<to = T>(x)                          like: of the known type T."""
    if like.dtype is None:
        return m.no("the element type of {} is unknown", like)
    return m.op.Cast(x, to=int(like.dtype), **cast.attributes)


@rule(op.Cast(op.Cast(x, to=attr("between")).kept(), to=attr("to")), keeps_type=True)
def cast_back(m: Match, x: Value, between: int, to: int) -> Value | Declined:
    """Cast<to = T>(Cast<to = S>(x))  ->  x                            x: of type T; S holds every T exactly."""
    if x.dtype is None or x.dtype != to:
        return m.no("{} is {}, cast to {} in the end", x, x.dtype or "of unknown type", DType(to))
    return x if holds(DType(between), x.dtype) else m.no("{} does not hold every {}", DType(between), x.dtype)


@rule(op.Cast(op.Cast(x, to=attr("between")), to=attr("to"), saturate=attr("saturate")), keeps_type=True)
def cast_cast(m: Match, x: Value, between: int, to: int, saturate: int | None) -> Value | Declined:
    """Cast<to = T>(Cast<to = S>(x))  ->  Cast<to = T>(x)              S holds every value of x exactly

    Not from floats to integers, where each pair of types has its own answer to what is out of range; and from integers over floats
    only to floats that are wide.
    """
    if x.dtype is None:
        return m.no("the element type of {} is unknown", x)
    middle, last = DType(between), DType(to)
    if not holds(middle, x.dtype):
        return m.no("{} does not hold every {}", middle, x.dtype)
    if not is_by_value(x.dtype, middle, last):
        return m.no("from {} over {} to {} is not by value alone", x.dtype, middle, last)
    if saturate not in (None, 1):
        return m.no("saturate is {}, which concerns float8 alone", saturate)
    return m.op.Cast(x, to=to)


@rule(op.Concat(each(op.Cast(tensor("xs"), to=attr("to"), saturate=attr("saturate"))), axis=attr("axis")), keeps_type=True)
def concat_of_casts(m: Match, xs: tuple[Value, ...], to: tuple[int, ...], saturate: tuple[int | None, ...], axis: int) -> Value | Declined:
    """Concat(Cast<to = T>(a), Cast<to = T>(b), ...)  ->  Cast<to = T>(Concat(a, b, ...))       of one type, no wider than T

    A Concat of what is narrower copies less.
    """
    source, target = xs[0].dtype, DType(to[0])
    if source is None or DType.string in (source, target) or any(value.dtype is not source for value in xs):
        return m.no("they are not known to be of one type of numbers")
    if len(xs) == 1 or any(other != to[0] for other in to):
        return m.no("there are not two equal Casts")
    if any(given not in (None, 1) for given in saturate):
        return m.no("saturate is {}, which concerns float8 alone", saturate)
    if source.bits > target.bits:
        return m.no("{} is wider than {}", source, target)
    return m.op.Cast(m.op.Concat(*xs, axis=axis), to=to[0])


@rule(op.Shape(op.Cast(x).kept()).named("shape"), keeps_type=True)
def shape_of_cast(m: Match, shape: Node, x: Value) -> Value:
    """Shape(Cast(x))  ->  Shape(x)                                     whatever start and end are."""
    return m.op.Shape(x, **shape.attributes)


@rule(op.Cast(op.ConstantOfShape(tensor("s"), value=attr("value")), to=attr("to")), keeps_type=True)
def cast_of_constant_of_shape(m: Match, s: Value, value: Tensor | None, to: int) -> Value | Declined:
    """Cast<to = T>(ConstantOfShape<value = v>(s))  ->  ConstantOfShape<value = v'>(s)       v': v in T, which holds it exactly."""
    held, target = value if value is not None else Tensor.of(np.zeros(1, np.float32)), DType(to)
    if held.size != 1 or not all(dtype in NUMERIC or dtype is DType.bool for dtype in (held.dtype, target)):
        return m.no("it is not one number in a type of numbers")
    number = held.numpy().reshape(1)
    with np.errstate(all="ignore"):
        made = number.astype(target.numpy)
        if target is not DType.bool and made.astype(number.dtype).tobytes() != number.tobytes():
            return m.no("{} does not hold {}", target, number.item())
    return m.op.ConstantOfShape(s, value=Tensor.of(made, target))


def holds(wide: DType, narrow: DType) -> bool:
    """Whether a type holds every value of another exactly; False for the types that this module knows nothing of."""
    if wide is narrow or narrow is DType.bool:
        return wide in NUMERIC or wide is DType.bool
    if wide not in NUMERIC or narrow not in NUMERIC:
        return False
    if narrow in FLOATING:
        return wide in WIDER[narrow]
    magnitude = narrow.bits - is_signed(narrow)
    if wide in FLOATING:
        return WHOLE[wide] >= magnitude
    return wide.bits - is_signed(wide) >= magnitude and is_signed(wide) >= is_signed(narrow)


def is_by_value(first: DType, middle: DType, last: DType) -> bool:
    """Whether what a Cast to `last` makes of a number depends on the number alone, be it a `first` or a `middle` that holds it."""
    if last is DType.bool or first is DType.bool:
        return last is DType.bool or last in NUMERIC
    if first in FLOATING:
        return last in FLOATING
    if last in FLOATING:
        return last in (DType.float32, DType.float64)  # to 16 bits some runtimes round twice
    return last in NUMERIC and (middle not in FLOATING or holds(last, first))


def is_signed(dtype: DType) -> bool:
    """Whether an integer type has negative numbers."""
    return not dtype.name.startswith("u")
