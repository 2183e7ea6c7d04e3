"""Chains of operators that keep the elements in their order. They only say the shape anew, so whatever the element type, it is exact."""

from __future__ import annotations

from itertools import count, islice

import numpy as np

from graphopt.ir import Size, Value
from graphopt.ir.bounds import bounds
from graphopt.match import Declined, Match, any_of, attr, const, op, opt, rule, tensor
from graphopt.patterns.noop import numbers

x, inner, outer = tensor("x"), const("inner"), const("outer")


reshaped = any_of(
    op.Reshape(x, tensor("s")).kept(), op.Squeeze(x, opt(tensor("s"))).kept(), op.Unsqueeze(x, tensor("s")).kept(), op.Flatten(x).kept()
)


@rule(op.Reshape(reshaped, tensor("shape"), allowzero=attr("allowzero")), keeps_type=True)
def reshape_of_reshaped(m: Match, x: Value, shape: Value, allowzero: int) -> Value | Declined:
    """Reshape(Reshape(x, s), shape)  ->  Reshape(x, shape)          Squeeze, Unsqueeze and Flatten of x likewise

    Each 0 in shape that copies a dimension copies the same one from x; a shape that is not constant needs allowzero, and no -1: what
    that comes out as beside a 0 hangs on the dimensions between.
    """
    wanted, between = numbers(shape), m.root.inputs[0]
    if allowzero:
        entries = shape.contents if wanted is None else wanted
        least = 1 if entries is not None and -1 in entries else 0
        if entries is None or not all(entry == -1 or at_least(entry, least) for entry in entries):
            return m.no("{} may hold -1, and 0", shape)
    else:
        if wanted is None:
            return m.no("{} is not constant, and a 0 in it would copy a dimension", shape)
        copied = between.shape if between is not None else None
        for axis, entry in enumerate(wanted):
            if entry == 0 and (
                x.shape is None
                or copied is None
                or axis >= min(len(x.shape), len(copied))
                or copied[axis] is None
                or x.shape[axis] != copied[axis]
            ):
                return m.no("the 0 at {} copies a dimension that is not provably that of {}", axis, x)
    return m.op.Reshape(x, shape, allowzero=allowzero or None)


def at_least(size: Size, limit: int) -> bool:
    """Whether a size is provably this great."""
    least, _ = bounds(size)
    return least is not None and least >= limit


@rule(op.Unsqueeze(op.Unsqueeze(x, inner), outer), keeps_type=True)
def unsqueeze_unsqueeze(m: Match, x: Value, inner: Value, outer: Value) -> Value | Declined:
    """Unsqueeze(Unsqueeze(x, a), b)  ->  Unsqueeze(x, c)            c: b, and where the axes a come to lie."""
    first, then = numbers(inner) or (), numbers(outer) or ()
    rank = None if x.rank is None else x.rank + len(first)
    put, added = counted(first, rank), counted(then, None if rank is None else rank + len(then))
    if put is None or added is None:
        return m.no("axes {} and {} of a tensor of rank {}", first, then, "unknown" if x.rank is None else x.rank)
    axes = np.array(sorted((*added, *moved(put, added))), np.int64)
    return m.op.Unsqueeze(x, m.constant(axes, name="axes"))


@rule(op.Squeeze(op.Squeeze(x, inner), outer), keeps_type=True)
def squeeze_squeeze(m: Match, x: Value, inner: Value, outer: Value) -> Value | Declined:
    """Squeeze(Squeeze(x, a), b)  ->  Squeeze(x, c)                  c: a, and where the axes b were."""
    first, then = numbers(inner) or (), numbers(outer) or ()
    taken, more = counted(first, x.rank), counted(then, None if x.rank is None else x.rank - len(first))
    if taken is None or more is None:
        return m.no("axes {} and {} of a tensor of rank {}", first, then, "unknown" if x.rank is None else x.rank)
    axes = np.array(sorted((*taken, *moved(more, taken))), np.int64)
    return m.op.Squeeze(x, m.constant(axes, name="axes"))


def counted(axes: tuple[int, ...], rank: int | None) -> tuple[int, ...] | None:
    """Axes counted from the front; None when there are none, one is given twice, or one counts from an end that is not known."""
    if not axes or any(axis < 0 if rank is None else not -rank <= axis < rank for axis in axes):
        return None
    found = tuple(axis % rank if rank else axis for axis in axes)
    return found if len(set(found)) == len(found) else None


def moved(axes: tuple[int, ...], between: tuple[int, ...]) -> list[int]:
    """Where axes come to lie when others stand between them."""
    free = list(islice((axis for axis in count() if axis not in between), max(axes) + 1))
    return [free[axis] for axis in axes]
