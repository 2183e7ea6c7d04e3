"""Operators whose parameters make them do nothing. All but Cast move elements about, so whatever the element type, it is exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Shape, Size, Value
from graphopt.ir.tensor import Array
from graphopt.match import Declined, Match, attr, const, op, opt, rest, rule, tensor

# Exporters write "to the end" as the largest number of either width; no dimension comes near the smaller one.
TO_THE_END: Final = 2**31 - 1
MOST_READ: Final = 1 << 16  # bytes of a constant whose elements a rule looks into, or makes others of

x = tensor("x")


def all_zero(array: Array) -> bool:
    """Whether every element is 0."""
    return not np.any(array)


def all_one(array: Array) -> bool:
    """Whether every element is 1."""
    return bool(np.all(array == 1))


def same_shape(one: Value, other: Value) -> bool:
    """Whether two values provably have the same shape: rank and every dimension known and equal."""
    return one.shape is not None and None not in one.shape and one.shape == other.shape


def numbers(value: Value) -> tuple[int, ...] | None:
    """The elements of a constant vector (or scalar) of integers; None when it is not constant."""
    return None if value.const is None else tuple(int(element) for element in value.const.numpy().reshape(-1))


@rule(op.Cast(x, to=attr("to")), keeps_type=True)
def cast_to_same_type(m: Match, x: Value, to: int) -> Value | Declined:
    """Cast<to = T>(x)  ->  x                          x: of type T."""
    if x.dtype is None or x.dtype != to:
        return m.no("x is {}, the Cast is to {}", x.dtype or "of unknown type", DType(to))
    return x


@rule(op.CastLike(x, tensor("like")), keeps_type=True)
def cast_like_same_type(m: Match, x: Value, like: Value) -> Value | Declined:
    """CastLike(x, like)  ->  x                        x, like: of one type."""
    if x.dtype is None or x.dtype != like.dtype:
        return m.no("x is {}, it is cast to the type of a {}", x.dtype or "of unknown type", like.dtype or "value of unknown type")
    return x


@rule(op.Transpose(x, perm=attr("perm")), keeps_type=True)
def transpose_in_order(m: Match, x: Value, perm: tuple[int, ...] | None) -> Value | Declined:
    """Transpose<perm = (0, 1, ...)>(x)  ->  x         without perm: x of rank 1 or 0."""
    if perm is None and x.rank is None:
        return m.no("without perm the axes are reversed, and the rank of {} is unknown", x)
    order = tuple(reversed(range(x.rank or 0))) if perm is None else perm
    return x if order == tuple(range(len(order))) else m.no("perm {} moves axes", order)


@rule(op.Transpose(x, perm=attr("perm")))
def transpose_of_unit_axes(m: Match, x: Value, perm: tuple[int, ...] | None) -> Value | Declined:
    """Transpose<perm>(x)  ->  Reshape(x, s)           only axes of extent 1 change places; s: the result's shape

    0 in s copies the dimension that stands there; one that a name stands for may move as the only -1.
    """
    shape = x.shape
    if shape is None or 0 in shape:
        return m.no("the shape of {} is unknown, or it is empty", x)
    order = tuple(reversed(range(len(shape)))) if perm is None else perm
    if sorted(order) != list(range(len(shape))):
        return m.no("perm {} does not order the axes of {}", order, x.type)
    passing = [axis for axis in order if shape[axis] != 1]
    if passing != sorted(passing):
        return m.no("perm {} moves axes past each other whose extents are not known to be 1", order)
    if order == tuple(range(len(order))):
        return m.no("perm {} moves nothing", order)
    target = []
    for position, axis in enumerate(order):
        size = shape[axis]
        target.append(size if isinstance(size, int) else 0 if axis == position else -1)
    if target.count(-1) > 1:
        return m.no("more than one unknown dimension of {} changes its place", x)
    if -1 in target and 0 in target:
        return m.no("were the dimension that 0 copies 0 when it runs, -1 would stand for anything")
    return m.op.Reshape(x, m.constant(np.array(target, np.int64), name="shape"))


@rule(op.Reshape(x, tensor("shape"), allowzero=attr("allowzero")).named("reshape"), keeps_type=True)
def reshape_to_same_shape(m: Match, x: Value, shape: Value, allowzero: int) -> Value | Declined:
    """Reshape(x, shape)  ->  x

    Each entry of shape is the dimension that stands there, or 0 (without allowzero), or the one -1. From rank 1 to rank 1 nothing
    can change.
    """
    y = m.root.output
    wanted = numbers(shape)
    if same_shape(x, y) or (wanted is None and x.rank == 1 and shape.shape == (1,)):
        return x
    if wanted is None or x.shape is None or len(wanted) != len(x.shape):
        return m.no("from {} to {}: not provably the same shape", x.type or "unknown", wanted or y.type or "unknown")
    if allowzero and 0 in wanted and -1 in wanted:
        return m.no("-1 beside a 0 that means 0 stands for anything")
    for entry, size in zip(wanted, x.shape, strict=True):
        if entry not in (size, -1) and not (entry == 0 and allowzero == 0):
            return m.no("the entry {} of the new shape is not provably the dimension {}", entry, "?" if size is None else size)
    return x  # all but at most one are the same, so that one is the same as well


@rule(op.Reshape(x, op.Shape(x, start=0, end=attr("end")).kept()), keeps_type=True)
def reshape_to_own_shape(m: Match, x: Value, end: int | None) -> Value | Declined:
    """Reshape(x, Shape(x))  ->  x                     the whole of the shape."""
    return x if end is None else m.no("the Shape ends at {}", end)


@rule(op.Flatten(x, axis=attr("axis")), keeps_type=True)
def flatten_of_matrix(m: Match, x: Value, axis: int) -> Value | Declined:
    """Flatten<axis = 1>(x)  ->  x                     x: (M, N); or axis 0 and M = 1, or axis 2 and N = 1."""
    if x.shape is None or len(x.shape) != 2:
        return m.no("{} is {}, no matrix", x, x.type or "of unknown type")
    column = axis if axis >= 0 else axis + 2
    is_same = column == 1 or (column == 0 and x.shape[0] == 1)
    return x if is_same else m.no("axis {} of {} makes another matrix", axis, x.type)


@rule(op.Expand(x, tensor("shape")), keeps_type=True)
def expand_to_same_shape(m: Match, x: Value, shape: Value) -> Value | Declined:
    """Expand(x, shape)  ->  x                         shape: at most x's rank, each entry from the right 1 or the dimension of x."""
    if same_shape(x, m.root.output):
        return x
    wanted = numbers(shape)
    if wanted is None or x.shape is None:
        return m.no("from {} to {}: not provably the same shape", x.type or "unknown", wanted or m.root.output.type or "unknown")
    if len(wanted) > len(x.shape) or any(
        entry not in (1, size) for entry, size in zip(reversed(wanted), reversed(x.shape), strict=False)
    ):
        return m.no("{} grows to {}", x.type, wanted)
    return x


@rule(op.Expand(x, op.Shape(x, start=0, end=attr("end")).kept()), keeps_type=True)
def expand_to_own_shape(m: Match, x: Value, end: int | None) -> Value | Declined:
    """Expand(x, Shape(x))  ->  x                      the whole of the shape."""
    return x if end is None else m.no("the Shape ends at {}", end)


axes, steps = opt(tensor("axes")), opt(tensor("steps"))


@rule(op.Slice(x, tensor("starts"), tensor("ends"), axes, steps), keeps_type=True)
def slice_of_all(m: Match, x: Value, starts: Value, ends: Value, axes: Value | None, steps: Value | None) -> Value | Declined:
    """Slice(x, starts, ends, axes, steps)  ->  x      along each axis: from 0 to the end, step 1."""
    first, last = numbers(starts), numbers(ends)
    along = tuple(range(len(first or ()))) if axes is None else numbers(axes)
    by = (1,) * len(first or ()) if steps is None else numbers(steps)
    if first is None or last is None or along is None or by is None:
        return m.no("the bounds are not constant")
    for start, end, axis, step in zip(first, last, along, by, strict=True):
        size = dimension(x.shape, axis)
        if step != 1:
            return m.no("step {} along axis {}", step, axis)
        if start != 0 and not (isinstance(size, int) and start <= -size):
            return m.no("starts at {} along axis {}", start, axis)
        if end < TO_THE_END and not (isinstance(size, int) and end >= size):
            return m.no("ends at {} along axis {} of {}", end, axis, x.type or "unknown shape")
    return x


def dimension(shape: Shape | None, axis: int) -> Size:
    """The dimension along an axis, counted from either end; None when it is not known."""
    return None if shape is None or not -len(shape) <= axis < len(shape) else shape[axis]


@rule(op.Pad(x, const("pads", where=all_zero), opt(tensor("value")), axes), keeps_type=True)
def pad_with_nothing(m: Match, x: Value) -> Value:
    """Pad(x, pads = 0)  ->  x                         in every mode, along whatever axes."""
    return x


@rule(op.Split(x, opt(tensor("split"))), keeps_type=True)
def split_into_one(m: Match, x: Value) -> Value | Declined:
    """Split(x)  ->  x                                 one output: it must be all of x."""
    return x if len(m.root.outputs) == 1 else m.no("{} parts", len(m.root.outputs))


@rule(op.Concat(x), keeps_type=True)
def concat_of_one(m: Match, x: Value) -> Value:
    """Concat(x)  ->  x"""
    return x


def same_beside(one: Value, other: Value, axis: int) -> bool:
    """Whether two values provably have the same sizes along all axes but one."""
    if one.shape is None or other.shape is None or len(one.shape) != len(other.shape):
        return False
    beside = [pair for place, pair in enumerate(zip(one.shape, other.shape, strict=True)) if place != axis % len(one.shape)]
    return all(size is not None and size == wanted for size, wanted in beside)


@rule(op.Concat(rest("xs"), axis=attr("axis")), keeps_type=True)
def concat_without_empty(m: Match, xs: tuple[Value, ...], axis: int) -> Value | Declined:
    """Concat(x, e, y)  ->  Concat(x, y)               e: of extent 0 along the axis; one operand stays whatever it is."""
    kept = [value for value in xs if dimension(value.shape, axis) != 0] or [xs[0]]
    gone = [value for value in xs if value not in kept]
    if not gone:
        return m.no("no operand is known to be empty along axis {}", axis)
    if any(not same_beside(value, kept[0], axis) for value in gone):  # the operator forbids it, some runtimes let an empty operand decide
        return m.no("an empty operand is not known to have the sizes of {} along the other axes", kept[0])
    return kept[0] if len(kept) == 1 else m.op.Concat(*kept, axis=axis)


@rule(op.Tile(x, const("repeats", where=all_one)), keeps_type=True)
def tile_once(m: Match, x: Value) -> Value:
    """Tile(x, repeats = 1)  ->  x                     along every axis."""
    return x


# In this mode the region of interest changes elements at scale 1; a policy other than stretch may change the scales.
resize = {
    "coordinate_transformation_mode": lambda mode: mode != "tf_crop_and_resize",
    "keep_aspect_ratio_policy": "stretch",
    "mode": "nearest",
}


@rule(op.Resize(x, opt(tensor("roi")), const("scales", where=all_one), **resize), keeps_type=True)
def resize_by_one(m: Match, x: Value) -> Value:
    """Resize<mode = nearest>(x, scales = 1)  ->  x

    Not for linear and cubic: there an infinity in x makes NaNs of its neighbours (0 * inf).
    """
    return x


@rule(op.Upsample(x, const("scales", where=all_one), mode="nearest"), keeps_type=True)
def upsample_by_one(m: Match, x: Value) -> Value:
    """Upsample<mode = nearest>(x, scales = 1)  ->  x"""
    return x


@rule(op.Resize(x, opt(tensor("roi")), opt(tensor("scales")), tensor("sizes"), **resize), keeps_type=True)
def resize_to_same_size(m: Match, x: Value) -> Value | Declined:
    """Resize<mode = nearest>(x, sizes)  ->  x         sizes: those of x."""
    return x if same_shape(x, m.root.output) else m.no("from {} to {}", x.type or "unknown", m.root.output.type or "unknown")
