"""Reductions of reductions, and operators after a reduction that only put the reduced axes back or take them out."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Node, Shape, Value
from graphopt.match import FLOATING, INTEGERS, Call, Declined, Match, any_of, attr, const, op, opt, rule, tensor
from graphopt.patterns.noop import numbers
from graphopt.patterns.reshape import counted, moved
from graphopt.patterns.reshape_family import reshapings
from graphopt.patterns.shape_arguments import is_positive
from graphopt.patterns.squeeze import are_same_axes
from graphopt.schema.traits import REDUCTIONS

POSITION: Final = ("ArgMax", "ArgMin")

x = tensor("x")


def is_flag(keepdims: int) -> bool:
    """Whether it is one of the two that the text knows."""
    return keepdims in (0, 1)


def reduced(op_type: str) -> Call:
    """The pattern of a reduction of x, of whatever axes."""
    build = op[op_type]
    call: Call
    if op_type in POSITION:
        call = build(x, axis=attr("axis"), keepdims=attr("keepdims", is_flag), select_last_index=attr("last"))
    else:
        call = build(x, opt(tensor("axes")), keepdims=attr("keepdims", is_flag), noop_with_empty_axes=attr("noop"))
    return call.named("reduce")


reduction = any_of(*map(reduced, (*sorted(REDUCTIONS), *POSITION)))


@rule(any_of(*reshapings(reduction, "argument")), keeps_type=True)
def reduce_in_other_shape(
    m: Match,
    reduce: Node,
    x: Value,
    argument: Value | None,
    axes: Value | None,
    axis: int | None,
    keepdims: int,
    noop: int | None,
    last: int | None,
) -> Value | Declined:
    """Unsqueeze(ReduceSum<keepdims = 0>(x, axes), axes)  ->  ReduceSum<keepdims = 1>(x, axes)

    Squeeze, Reshape and Flatten after keepdims = 1 likewise, where they make the shape that keepdims = 0 makes. Every reduction, and
    ArgMax and ArgMin.
    """
    along = (axis,) if axis is not None else () if axes is None else numbers(axes)
    if along is None or (not along and (noop or axes is not None)):
        return m.no("the axes are not constant, or there are none")
    rank = x.rank
    if not along:
        along = tuple(range(rank or 0))
    if not counts_right(m, x, along):
        return m.no("axes {} count from the end, and {} may be empty", along, x)
    wanted = other_shape(x.shape, along, keepdims)
    made = m.root.output.shape
    fits = wanted is not None and None not in wanted and wanted == made
    if not fits:
        given = None if argument is None else numbers(argument)
        is_opposite = m.root.op_type == ("Squeeze" if keepdims else "Unsqueeze")
        if not is_opposite or not are_same_axes(along, given, rank):
            return m.no("axes {} reduced with keepdims {}, and then not the shape of keepdims {}", along, keepdims, 1 - keepdims)
    build = m.op[reduce.op_type]
    result: Value
    if axis is not None:
        result = build(x, axis=axis, keepdims=1 - keepdims, select_last_index=last or None)
    else:
        result = build(x, axes, keepdims=1 - keepdims)
    return result


def counts_right(m: Match, x: Value, axes: tuple[int, ...]) -> bool:
    """Whether runtimes reduce these axes in every run: onnxruntime overlooks those that count from the end when x is empty."""
    return min(axes, default=0) >= 0 or (x.shape is not None and all(is_positive(size, m.graph.model.positive) for size in x.shape))


def other_shape(shape: Shape | None, axes: tuple[int, ...], keepdims: int) -> Shape | None:
    """The shape that a reduction makes with the other keepdims; None when it is not known."""
    if shape is None or any(not -len(shape) <= axis < len(shape) for axis in axes):
        return None
    places = {axis % len(shape) for axis in axes}
    if keepdims:
        return tuple(size for place, size in enumerate(shape) if place not in places)
    return tuple(1 if place in places else size for place, size in enumerate(shape))


def reduced_twice(op_type: str) -> Call:
    """The pattern of a reduction of a reduction of the same kind."""
    build = op[op_type]
    first: Call = build(x, const("first"), keepdims=attr("between", is_flag))
    call: Call = build(first, const("then"), keepdims=attr("keepdims", is_flag))
    return call


@rule(any_of(*map(reduced_twice, ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"))), dtype=INTEGERS, keeps_type=True)
def integer_reduce_reduce(m: Match, x: Value, first: Value, then: Value, between: int, keepdims: int) -> Value | Declined:
    """ReduceSum(ReduceSum(x, a), b)  ->  ReduceSum(x, c)           c: a, and where the axes b were; of ReduceMax, ReduceMin, ReduceProd too

    Integers: of the floats, what becomes of a NaN hangs on the order in which a runtime compares.
    """
    return reduced_at_once(m, x, first, then, between, keepdims)


@rule(
    any_of(*map(reduced_twice, ("ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum"))),
    dtype=FLOATING,
    keeps_type=True,
    exactness="rounding",
)
def float_reduce_reduce(m: Match, x: Value, first: Value, then: Value, between: int, keepdims: int) -> Value | Declined:
    """ReduceMean(ReduceMean(x, a), b)  ->  ReduceMean(x, c)        c: a, and where the axes b were; of ReduceSum, ReduceL1, ReduceL2 too"""
    return reduced_at_once(m, x, first, then, between, keepdims)


def reduced_at_once(m: Match, x: Value, first: Value, then: Value, between: int, keepdims: int) -> Value | Declined:
    """One reduction over the axes of both."""
    inner, outer = numbers(first) or (), numbers(then) or ()
    rank = x.rank
    taken = counted(inner, rank)
    more = counted(outer, None if rank is None else rank if between else rank - len(inner))
    if taken is None or more is None:
        return m.no("axes {} and {} of a tensor of rank {}", inner, outer, "unknown" if rank is None else rank)
    if not between:
        more = tuple(moved(more, taken))
    if between != keepdims and not (between and set(taken) <= set(more)):
        return m.no("keepdims is {} and then {}", between, keepdims)
    if set(taken) & set(more) and m.root.op_type not in ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceMean"):
        return m.no("an axis is reduced twice")
    axes = sorted({*taken, *more})
    if max(inner + outer) < 0 and rank is not None:
        axes = [axis - rank for axis in axes]  # without elements these come out as in two steps, see counts_right
    elif not counts_right(m, x, inner + outer):
        return m.no("axes {} and {} count from either end, and {} may be empty", inner, outer, x)
    return m.op[m.root.op_type](x, m.constant(np.array(axes, np.int64), name="axes"), keepdims=keepdims)
