"""Division by the root of a mean square: what layer, RMS and instance normalization have in common when they are written out."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, Pattern, any_of, const, op, opt, tensor
from graphopt.patterns.noop import numbers
from graphopt.schema.spelling import neutral_inputs

__all__ = ["MOST_ONES", "average", "centered", "epsilon_of", "first_axis", "normalized", "ones", "power", "x"]

MOST_ONES: Final = 1 << 16  # a scale that is not there is stored as ones: elements that this may take

x, axes = tensor("x"), opt(tensor("axes"))


def mean(of: Pattern, name: str) -> Pattern:
    """The pattern of a mean that keeps the axes; that of TensorFlow's exporter is a pool where the axes are all from the third on."""
    reduced = op.ReduceMean(of, axes, keepdims=1, noop_with_empty_axes=0)
    return any_of(reduced.named(name), op.GlobalAveragePool(of).named(name))


def power(of: Pattern) -> Pattern:
    """The pattern of `mean(of^2) + epsilon`."""
    return op.Add(mean(any_of(op.Pow(of, 2), op.Mul(of, of)), "of_squares"), const("epsilon"))


def normalized(of: Pattern) -> Pattern:
    """The pattern of `of / sqrt(mean(of^2) + epsilon)`."""
    variance = power(of)
    root = any_of(op.Sqrt(variance), op.Pow(variance, 0.5))
    return any_of(op.Div(of, root), op.Mul(of, any_of(op.Reciprocal(root), op.Div(1, root), op.Pow(variance, -0.5))))


average = mean(x, "of_elements")
centered = op.Sub(x, average)


def epsilon_of(m: Match) -> float | Declined:
    """The number that is added to the mean square."""
    value: Value = m.bindings["epsilon"]
    if value.const is None or value.const.size != 1:
        return m.no("{} is {}, not one number", value, value.type)
    epsilon = float(value.const.numpy().astype(np.float64).reshape(-1)[0])
    # An attribute is a float32; below its normal numbers the operator would divide by another number, or by zero.
    return epsilon if np.finfo(np.float32).tiny <= epsilon < 1 else m.no("{} is {}, not between 1e-38 and 1", value, epsilon)


def first_axis(m: Match, x: Value) -> int | Declined:
    """The first of the axes that the means are taken along, when they are all that follow it."""
    if not x.rank:
        return m.no("the rank of {} is unknown or 0", x)
    found = [axes_of(node, x.rank) for name in ("of_elements", "of_squares") if (node := m.bindings.get(name)) is not None]
    along = found[0]
    if not along or found[-1] != along:
        return m.no("the axes of the means are not constant and the same, or there are none")
    if along != list(range(along[0], x.rank)):
        return m.no("the means are along {} of {} axes, which are not the last ones", along, x.rank)
    return along[0]


def axes_of(node: Node, rank: int) -> list[int] | None:
    """The axes of a mean, counted from the front; None when they are not constant."""
    axes = neutral_inputs(node)[1:]
    if node.op == "GlobalAveragePool":
        return list(range(2, rank))
    along = tuple(range(rank)) if not axes or axes[0] is None else numbers(axes[0])
    return None if along is None else sorted({axis % rank for axis in along})


def ones(m: Match, x: Value, axis: int) -> Value | Declined:
    """A scale that changes nothing, for the axes of x from `axis` on."""
    shape = [extent for extent in (x.shape or ())[axis:] if isinstance(extent, int) and extent > 0]  # onnxruntime normalizes no empty axes
    if x.shape is None or x.dtype is None or len(shape) != len(x.shape) - axis or np.prod(shape) > MOST_ONES:
        return m.no("the extents of {} from axis {} on are not all known, or 0, or there are too many elements", x, axis)
    return m.constant(np.ones(shape, x.dtype.numpy), x.dtype, name="scale")
