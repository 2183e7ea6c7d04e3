"""What a Slice takes along each axis, and Slices of Slices. Elements only move, so whatever the element type, it is exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from graphopt.ir import Node, Size, Value
from graphopt.match import Declined, Match, const, op, opt, rule, tensor
from graphopt.patterns.noop import TO_THE_END, numbers
from graphopt.patterns.reshape import counted
from graphopt.schema.spelling import has_neutral_form, neutral_inputs

END: Final = 2**63 - 1  # of any axis


class Cut(NamedTuple):
    """From where up to where along one axis, and in which steps; as Slice says it."""

    start: int
    end: int
    step: int


def cuts_of(
    starts: Value | None, ends: Value | None, axes: Value | None, steps: Value | None, rank: int | None
) -> dict[int, Cut] | None:
    """What a Slice takes of a tensor of this rank, by axis from the front; None when it is not constant, or steps go backwards."""
    if rank is None or starts is None or ends is None:
        return None
    first, last = numbers(starts), numbers(ends)
    if first is None or last is None:
        return None
    along = tuple(range(len(first))) if axes is None else numbers(axes)
    by = (1,) * len(first) if steps is None else numbers(steps)
    if along is None or by is None or not len(first) == len(last) == len(along) == len(by) or min(by, default=1) < 1:
        return None
    places = counted(along, rank)
    if places is None:
        return None
    return {
        axis: Cut(start, END if end >= TO_THE_END else end, step)
        for axis, start, end, step in zip(places, first, last, by, strict=True)
    }  # fmt: skip


def cuts_of_node(node: Node) -> tuple[Value, dict[int, Cut]] | None:
    """Of which value a Slice takes what; None when the node is none, or that is not constant."""
    if node.op != "Slice" or not has_neutral_form(node):
        return None
    x, *arguments = (*neutral_inputs(node), None, None, None, None)[:5]
    found = None if x is None else cuts_of(arguments[0], arguments[1], arguments[2], arguments[3], x.rank)
    return None if x is None or found is None else (x, found)


def cut(m: Match, x: Value, cuts: Mapping[int, Cut]) -> Value:
    """The Slice that takes this."""
    axes = sorted(cuts)
    starts, ends, steps = zip(*(cuts[axis] for axis in axes), strict=True)
    arguments = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    if set(steps) == {1}:
        del arguments["steps"]
    within = {name: [max(min(number, END), -END) for number in held] for name, held in arguments.items()}  # nothing is as long
    return m.op.Slice(x, *(m.constant(np.array(held, np.int64), name=name) for name, held in within.items()))


x = tensor("x")
starts, ends, axes, steps = const("starts"), const("ends"), opt(const("axes")), opt(const("steps"))
starts_2, ends_2, axes_2, steps_2 = const("starts_2"), const("ends_2"), opt(const("axes_2")), opt(const("steps_2"))


@rule(op.Slice(op.Slice(x, starts, ends, axes, steps), starts_2, ends_2, axes_2, steps_2), keeps_type=True)
def slice_slice(
    m: Match,
    x: Value,
    starts: Value,
    ends: Value,
    axes: Value | None,
    steps: Value | None,
    starts_2: Value,
    ends_2: Value,
    axes_2: Value | None,
    steps_2: Value | None,
) -> Value | Declined:
    """Slice(Slice(x, a), b)  ->  Slice(x, c)          along each axis one after the other

    Along an axis that both cut: its extent is known, or the bounds count from the side where they stay what they are.
    """
    inner, outer = cuts_of(starts, ends, axes, steps, x.rank), cuts_of(starts_2, ends_2, axes_2, steps_2, x.rank)
    if inner is None or outer is None or x.shape is None:
        return m.no("the bounds are not constant, or the rank of {} is unknown, or steps go backwards", x)
    cuts = {**inner, **outer}
    for axis in inner.keys() & outer.keys():
        both = in_turn(inner[axis], outer[axis], x.shape[axis])
        if both is None:
            return m.no("{} and then {} along axis {} hangs on its extent", tuple(inner[axis]), tuple(outer[axis]), axis)
        cuts[axis] = both
    return cut(m, x, cuts)


def in_turn(first: Cut, second: Cut, extent: Size) -> Cut | None:
    """Two cuts along one axis as one; None when that hangs on the extent."""
    step = first.step * second.step
    if isinstance(extent, int):
        left = range(extent)[first.start : first.end : first.step][second.start : second.end : second.step]
        return Cut(left.start, left.stop, step) if left else Cut(0, 0, 1)
    if first.start < 0 or second.start < 0:
        return None
    start = first.start + first.step * second.start
    if second.end == END:
        return Cut(start, first.end, step)
    if second.end >= 0:
        end = first.start + first.step * second.end
        return Cut(start, min(first.end, end), step) if first.end >= 0 else None
    if first.step != 1 or 0 <= first.end < END:
        return None
    return Cut(start, second.end if first.end == END else first.end + second.end, step)
