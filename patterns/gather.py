"""Single elements along an axis. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

import numpy as np

from graphopt.ir import DType, Value
from graphopt.match import Declined, Match, attr, const, op, opt, rule, tensor
from graphopt.patterns.noop import TO_THE_END, numbers

x = tensor("x")


@rule(op.Unsqueeze(op.Gather(x, const("i", rank=0), axis=attr("axis")), const("axes")), keeps_type=True)
def unsqueeze_gather(m: Match, x: Value, i: Value, axis: int, axes: Value) -> Value | Declined:
    """Unsqueeze(Gather<axis>(x, i), [axis])  ->  Gather<axis>(x, [i])          i: a scalar."""
    put = numbers(axes)
    if put is None or len(put) != 1 or i.const is None:
        return m.no("{} axes are put in", "unknown" if put is None else len(put))
    if not is_same_axis(axis, put[0], x.rank):  # the result has the rank of x
        return m.no("axis {} is taken out, axis {} put in", axis, put[0])
    return m.op.Gather(x, m.constant(i.const.numpy().reshape(1), i.const.dtype, name=i.name), axis=axis)


axes, steps = opt(const("axes")), opt(const("steps"))


@rule(op.Squeeze(op.Slice(x, const("starts"), const("ends"), axes, steps), const("out")), keeps_type=True)
def squeeze_slice_to_gather(
    m: Match, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None, out: Value
) -> Value | Declined:
    """Squeeze(Slice(x, [i], [i + 1], [axis]), [axis])  ->  Gather<axis>(x, i)

    Where x has no such element the Slice is empty and the Squeeze fails. To the end from -1 likewise.
    """
    first, last, taken = numbers(starts), numbers(ends), numbers(out)
    along = (0,) if axes is None else numbers(axes)
    if first is None or last is None or taken is None or along is None or not len(first) == len(last) == len(along) == len(taken) == 1:
        return m.no("not one axis with constant bounds")
    if steps is not None and numbers(steps) != (1,):
        return m.no("the step is not 1")
    i, end = first[0], last[0]
    if not (end == i + 1 and i != -1) and not (i == -1 and end >= TO_THE_END):
        return m.no("from {} to {}: not one element", i, end)
    if not is_same_axis(along[0], taken[0], x.rank):
        return m.no("along axis {}, and axis {} is taken out", along[0], taken[0])
    return m.op.Gather(x, m.constant(np.array(i, np.int64), DType.int64, name="index"), axis=along[0])


def is_same_axis(one: int, other: int, rank: int | None) -> bool:
    """Whether two numbers mean the same axis of a tensor of this rank."""
    return one == other or (rank is not None and (one - other) % rank == 0 and all(-rank <= axis < rank for axis in (one, other)))
