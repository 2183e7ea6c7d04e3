"""The contents of small integer tensors, as far as they are known before the model runs: what shapes are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from graphopt.infer.call import NotKnown
from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Value
from graphopt.ir.tensor import Tensor

Elements: TypeAlias = tuple[Size, ...]
Block: TypeAlias = npt.NDArray[Any]  # of objects, each a Size

MOST_ELEMENTS = 64  # longer vectors are no shapes
KINDS = frozenset({DType.int64, DType.int32, DType.bool})


def elements(value: Value | None) -> Elements | None:
    """The elements of a tensor of integers (or bool, as 0 and 1) in row-major order; None where one, or how many, is not known.

    Numbers come from constants, symbols from shapes; what is computed from them has what `infer_contents` found. True in every run that
    comes to this value and succeeds, if sizes, and small multiples of them, fit into the integer type that a model computes them in.
    """
    if value is None:
        return None
    tensor = value.const
    return value.contents if tensor is None else of_tensor(tensor)


def constant_ints(value: Value | None) -> tuple[int, ...] | None:
    """All elements of a small tensor of integers, when every one is a known number."""
    held = elements(value)
    if held is None:
        return None
    numbers = tuple(element for element in held if isinstance(element, int))
    return numbers if len(numbers) == len(held) else None


def agreed(one: Elements | None, other: Elements | None) -> Elements | None:
    """What is true of a tensor that has one of two contents: elements that are equal."""
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def refined_elements(known: Elements | None, found: Elements | None) -> Elements | None:
    """What two proofs of one tensor's contents tell together; where both know an element, the second."""
    if known is None or found is None or len(known) != len(found):
        return known if found is None else found
    return tuple(a if b is None else b for a, b in zip(known, found, strict=True))


def of_tensor(tensor: Tensor) -> Elements | None:
    """The elements of a small constant of integers."""
    if tensor.dtype not in KINDS or tensor.size > MOST_ELEMENTS:
        return None
    return tuple(map(int, tensor.numpy().reshape(-1).tolist()))


def block(value: Value | None) -> Block:
    """The elements of an input in its shape, None where one is not known. Raises NotKnown when not even their places are."""
    if value is None or value.dtype not in KINDS:
        raise NotKnown
    shape, held = value.shape, elements(value)
    if shape is None:
        raise NotKnown
    if held is not None:
        return filled(held, _extents(shape, len(held)))
    count = 1
    for extent in shape:
        if not isinstance(extent, int):
            raise NotKnown
        count *= extent
    if count > MOST_ELEMENTS:
        raise NotKnown
    return np.full(tuple(extent for extent in shape if isinstance(extent, int)), None, dtype=object)


def filled(held: Iterable[Size], shape: tuple[int, ...]) -> Block:
    """A block with these elements. Raises ValueError when the shape has more or fewer places."""
    listed = list(held)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made.reshape(shape)


def mapped(function: Callable[..., Size], *blocks: Block) -> Block:
    """The function of each element, or of the elements that stand together when the blocks are broadcast. Raises ValueError, NotKnown."""
    if len(blocks) == 1:
        return filled(map(function, blocks[0].reshape(-1).tolist()), blocks[0].shape)
    rows = np.broadcast(*blocks)
    if rows.size > MOST_ELEMENTS:
        raise NotKnown
    return filled([function(*row) for row in rows], rows.shape)


def numbers_of(value: Value | None) -> tuple[int, ...]:
    """The elements of an input that must all be numbers. Raises NotKnown."""
    found = constant_ints(value)
    if found is None:
        raise NotKnown
    return found


def _extents(shape: Shape, count: int) -> tuple[int, ...]:
    """The shape of a tensor of `count` elements as numbers: one that is not known follows from the others."""
    if len(shape) <= 1:
        return (count,) * len(shape)
    known = 1
    for extent in shape:
        known *= extent if isinstance(extent, int) else 1
    missing = sum(not isinstance(extent, int) for extent in shape)
    if missing > 1 or (missing and not known):
        raise NotKnown
    return tuple(extent if isinstance(extent, int) else count // known for extent in shape)
