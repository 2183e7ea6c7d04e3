"""Orders of axes, and what a node is when its operands come in another order.

A value v in the order p is Transpose<perm = p>(v): its axis i is axis p[i] of v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, final

import numpy as np

from graphopt.ir import LARGE, Node, Shape, Tensor, TensorType, Value
from graphopt.passes.deferred import Transposed
from graphopt.patterns.noop import numbers
from graphopt.schema.spelling import neutral_attribute, neutral_inputs

T = TypeVar("T")
Perm: TypeAlias = tuple[int, ...]
Orders: TypeAlias = "tuple[Perm | None, ...]"


def inverse(perm: Perm) -> Perm:
    """The order that undoes another."""
    back = [0] * len(perm)
    for place, axis in enumerate(perm):
        back[axis] = place
    return tuple(back)


def in_turn(first: Perm, second: Perm) -> Perm:
    """The one order that two in turn make."""
    return tuple(first[axis] for axis in second)


def is_in_order(perm: Perm) -> bool:
    """Whether every axis stays where it is."""
    return perm == tuple(range(len(perm)))


def moves_units_only(perm: Perm, shape: Shape | None) -> bool:
    """Whether no axis passes another unless one of them has extent 1: the elements stay in their order."""
    if shape is None or len(shape) != len(perm):
        return False
    last = -1
    for axis in perm:
        if shape[axis] != 1:
            if axis < last:
                return False
            last = axis
    return True


def permuted(shape: tuple[T, ...], perm: Perm) -> tuple[T, ...]:
    """The shape of what is stored, or another thing that there is of each axis."""
    return tuple(shape[axis] for axis in perm)


@final
@dataclass(frozen=True, slots=True)
class Passage:
    """How a node runs on permuted operands. None in `inputs` and `outputs`: as it is; slots count as the newest opset spells them.

    An order with more axes than a constant has is meant for the constant with axes of extent 1 in front. `attributes` and `constants` (by
    slot) say what is different from the node as it is.
    """

    inputs: Orders
    outputs: Orders
    attributes: Mapping[str, Any] = field(default_factory=dict)  # Any: as many kinds as attributes have
    constants: Mapping[int, Tensor] = field(default_factory=dict)


Way: TypeAlias = "Callable[[Node, Perm, int | None], Passage | None]"  # the slot that is read so, None: the first output


def made(inputs: Sequence[Perm | None], outputs: Sequence[Perm | None], node: Node, **attributes: Any) -> Passage:
    """A passage with None for what stays in order and for inputs that are not listed."""
    rest = max(len(node.inputs), len(neutral_inputs(node))) - len(inputs)
    given = tuple(None if perm is None or is_in_order(perm) else perm for perm in inputs)
    return Passage(given + (None,) * rest, tuple(None if perm is None or is_in_order(perm) else perm for perm in outputs), attributes)


def with_constants(passed: Passage, constants: Mapping[int, Tensor]) -> Passage:
    """The same passage with other constants in some slots."""
    return Passage(passed.inputs, passed.outputs, passed.attributes, constants)


def integers(value: Value | None) -> Perm | None:
    """The elements of a constant of integers."""
    return None if value is None else numbers(value)


def vector(elements: Sequence[int], like: Value | None = None) -> Tensor:
    """A constant vector of int64; of the element type of `like`, and a scalar where that is one."""
    array = np.array(elements, np.int64)
    return Tensor.of(array.reshape(()) if like is not None and like.rank == 0 else array, None if like is None else like.dtype)


def axis_of(node: Node, rank: int) -> int | None:
    """The attribute axis, counted from the front."""
    axis = neutral_attribute(node, "axis")
    return axis % rank if isinstance(axis, int) and -rank <= axis < rank else None


def axes_of(value: Value | None, rank: int) -> Perm | None:
    """The elements of a constant of axes, counted from the front; None unless each is one, and there once."""
    axes = integers(value)
    if axes is None or any(not -rank <= axis < rank for axis in axes):
        return None
    counted = tuple(axis % rank for axis in axes)
    return counted if len(set(counted)) == len(counted) else None


def rank_of(node: Node, slot: int = 0) -> int | None:
    """The rank of an input."""
    value = node.input(slot)
    return None if value is None else value.rank


def without(perm: Perm, axes: Perm) -> Perm:
    """The order of the axes that are left when some go."""
    left = {axis: place for place, axis in enumerate(axis for axis in range(len(perm)) if axis not in axes)}
    return tuple(left[axis] for axis in perm if axis not in axes)


def with_axes(perm: Perm, axes: Perm) -> Perm:
    """An order that leaves `perm` when these axes go; they stay in their places."""
    rank = len(perm) + len(axes)
    left = [axis for axis in range(rank) if axis not in axes]
    rest = iter(perm)
    return tuple(axis if axis in axes else left[next(rest)] for axis in range(rank))


def stored(tensor: Tensor, perm: Perm) -> Tensor:
    """A constant in another order; without the axes of extent 1 in front when it has to get axes first, to broadcast."""
    extra = len(perm) - len(tensor.shape)
    if not extra and tensor.nbytes >= LARGE and tensor.dtype.bits >= 8:
        return Tensor(tensor.dtype, tuple(tensor.shape[axis] for axis in perm), Transposed(tensor, perm))
    array = tensor.numpy().reshape((1,) * extra + tensor.shape).transpose(perm)
    while extra and array.ndim and array.shape[0] == 1:
        array = array[0]
    return Tensor.of(np.ascontiguousarray(array).reshape(array.shape), tensor.dtype)


def type_of(value: Value, perm: Perm | None) -> TensorType | None:
    """The type of a value in another order."""
    if value.dtype is None or value.shape is None:
        return None
    return TensorType(value.dtype, value.shape if perm is None else permuted(value.shape, perm))
