"""Parameters as tags: which element has which scale and zero point, and the simplest parameters that say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd, prod
from typing import final

import numpy as np

from graphopt.ir import Size
from graphopt.ir.tensor import Array
from graphopt.quantization.arithmetic import entries
from graphopt.quantization.flow import MOST_TAGS, Unclear, number
from graphopt.quantization.parameters import Quantization

FREE = -1  # the tag of an element that may have any parameters


@final
class Tags:
    """The entries of some parameters, each different pair of a scale and a zero point with a number: its tag."""

    def __init__(self, given: Sequence[Quantization]) -> None:
        self.like = given[0]
        scale = np.concatenate([by.scale.reshape(-1) for by in given])
        zero = np.concatenate([by.zero_point.reshape(-1) for by in given])
        pairs = np.stack([scale.astype(np.float64), zero.astype(np.float64)], axis=1)
        _, first, inverse = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        self.scale, self.zero = scale[first], zero[first]
        cuts = np.cumsum([by.scale.size for by in given])[:-1]
        self._tags = dict(zip(map(id, given), np.split(inverse.reshape(-1), cuts), strict=False))

    @property
    def are_equal(self) -> bool:
        """Whether one pair serves all."""
        return len(self.scale) == 1

    def spread(self, by: Quantization, shape: tuple[int, ...]) -> Array:
        """The tag of each element of a tensor that has these parameters."""
        return np.broadcast_to(entries(self._tags[id(by)].reshape(by.scale.shape), by, shape), shape)

    def quantization(self, tags: Array, axis: int | None = None, block: int = 0) -> Quantization:
        """The parameters with these entries."""
        return self.like.with_entries(self.scale[tags], self.zero[tags], axis, block)

    def alone(self, tag: int) -> Quantization:
        """The parameters of the elements with this tag."""
        return self.quantization(np.asarray(tag))


def simplest(by: Quantization) -> Quantization:
    """The same parameters for the whole tensor where all entries are equal."""
    tags = Tags([by])
    return tags.alone(0) if by.axis is not None and tags.are_equal else by


@final
@dataclass(frozen=True, slots=True)
class Spread:
    """A tag for each element of a tensor; along axes that are not `is_real` nothing differs, and one element stands for all."""

    tags: Array
    is_real: Sequence[bool]
    shape: tuple[Size, ...]


def fitted(tags: Tags, spread: Spread) -> Quantization:
    """The simplest parameters that give each element what its tag says. Raises Unclear when there are none."""
    held = spread.tags[spread.tags != FREE]
    if not held.size:
        raise Unclear("there is no element to take parameters from")
    if (held == held[0]).all():
        return tags.alone(int(held[0]))
    for axis, extent in enumerate(spread.tags.shape):
        if extent > 1 and spread.is_real[axis] and (entries := _along(spread.tags, axis)) is not None:
            return tags.quantization(entries, axis)
    return _in_blocks(tags, spread)


def _along(tags: Array, axis: int) -> Array | None:
    """The one tag of each index of an axis, None when one has several; an index with none gets the first that there is."""
    rows = np.moveaxis(tags, axis, 0).reshape(tags.shape[axis], -1)
    most = rows.max(axis=1, initial=FREE)
    if ((rows != FREE) & (rows != most[:, None])).any():
        return None
    found: Array = np.where(most == FREE, most[most != FREE][0], most)
    return found


def _without_gaps(tags: Array) -> Array:
    """Let slices that have no tags at all have those of a slice beside them."""
    for axis, extent in enumerate(tags.shape):
        is_held = (np.moveaxis(tags, axis, 0).reshape(extent, -1) != FREE).any(axis=1)
        if not is_held.all():
            places = np.maximum.accumulate(np.where(is_held, np.arange(extent), int(np.argmax(is_held))))
            tags = tags.take(places, axis=axis)
    return tags


def _in_blocks(tags: Tags, spread: Spread) -> Quantization:
    found = _without_gaps(spread.tags)
    if (found == FREE).any():
        raise Unclear("the parameters differ along more than one axis")
    ways: list[tuple[int, int, int]] = []
    for axis, extent in enumerate(found.shape):
        if not spread.is_real[axis] or extent < 2:
            continue
        rows = np.moveaxis(found, axis, 0).reshape(extent, -1)
        edges = (np.nonzero((rows[1:] != rows[:-1]).any(axis=1))[0] + 1).tolist()
        block = reduce(gcd, edges) if edges else extent
        if block > 1:
            ways.append((found.size // extent * -(-extent // block), axis, block))
    if not ways:
        raise Unclear("the parameters differ along more than one axis")
    _, axis, block = min(ways)
    shape = [extent if real else number(size) for extent, real, size in zip(found.shape, spread.is_real, spread.shape, strict=True)]
    shape[axis] = -(-found.shape[axis] // block)
    if prod(shape) > MOST_TAGS:
        raise Unclear(f"there would be more than {MOST_TAGS} entries")
    firsts = found[(slice(None),) * axis + (slice(None, None, block),)]
    return tags.quantization(np.broadcast_to(firsts, shape), axis, block)
