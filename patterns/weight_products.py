"""Weights with a factor for each output channel: weighed in pieces, and when they are large multiplied only when they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, final

import numpy as np
import numpy.typing as npt

from graphopt.ir import LARGE, DType, Tensor, release
from graphopt.ir.tensor import Array, raw

Floats: TypeAlias = npt.NDArray[np.float64]
UNIT: Final = {DType.float16: 2.0**-10, DType.bfloat16: 2.0**-7, DType.float32: 2.0**-23, DType.float64: 2.0**-52}  # in the last place

# Rounding costs half a unit of a channel's largest weight. More means that the factor has pushed the weights out of the range in which
# the type is precise (float16: below 6e-5).
MOST_UNITS_LOST: Final = 4.0
AT_ONCE: Final = 1 << 18  # elements; in float64 all rows at once would take twice the memory of the weights


class Block(NamedTuple):
    """Some rows of the weights, the channels that they make (or that each of their columns makes), and the factors, as they broadcast."""

    rows: slice
    weights: npt.NDArray[Any]
    channels: npt.NDArray[np.intp]
    factors: Floats


@final
class WeightProduct:
    """The bytes of weights times one factor per output channel, multiplied in float64 and rounded once, each time they are asked for.

    `groups` is None for a Conv, whose output channels are the rows of its weights.
    """

    __slots__ = ("factor", "groups", "nbytes", "source")

    def __init__(self, source: Tensor, factor: Floats, groups: int | None) -> None:
        self.nbytes, self.source, self.factor, self.groups = source.nbytes, source, factor, groups

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        return raw(self.array())

    def parts(self) -> Iterator[tuple[int, Callable[[], memoryview]]]:
        """Some rows at a time."""
        stride = self.nbytes // max(1, self.source.shape[0])
        return ((block.rows.start * stride, partial(bytes_of, block)) for block in self.blocks())

    def finish(self) -> None:
        """Let go of the weights."""
        release(self.source.storage)

    def array(self) -> Array:
        """The elements."""
        result = np.empty(self.source.shape, self.source.dtype.numpy)
        for block in self.blocks():
            multiply(block, result[block.rows])
        self.finish()
        return result

    @np.errstate(all="ignore")
    def refusal(self) -> str | None:
        """Why the product may not stand for the weights, with {} for their type; None when it may."""
        dtype = self.source.dtype
        lost, largest = np.zeros(len(self.factor)), np.zeros(len(self.factor))
        for block in self.blocks():
            if is_within_range(block, dtype):
                continue
            exact = block.weights.astype(np.float64) * block.factors
            product = exact.astype(dtype.numpy)
            if not np.isfinite(product).all():
                return "the new weights are not finite in {}"
            if not is_precise(product, block.weights, block.factors):
                shape = (*block.channels.shape, -1)
                np.maximum.at(lost, block.channels, np.abs(product.astype(np.float64) - exact).reshape(shape).max(-1))
                np.maximum.at(largest, block.channels, np.abs(exact).reshape(shape).max(-1))
        self.finish()
        return "the new weights are too small for {}" if (lost > MOST_UNITS_LOST * UNIT[dtype] * largest).any() else None

    def blocks(self) -> Iterator[Block]:
        """The weights, some rows at a time."""
        source = Tensor(self.source.dtype, self.source.shape, self.source.storage).numpy()  # one that keeps nothing
        rows, spatial, groups = source.shape[0], source.ndim - 2, self.groups
        channels = np.arange(len(self.factor)).reshape(rows if groups is None else groups, -1)
        if groups is not None:
            channels = channels.repeat(rows // groups, axis=0)
        step = max(1, AT_ONCE // max(1, source[:1].size))
        for start in range(0, rows, step):
            part = slice(start, start + step)
            here = channels[part]
            yield Block(part, source[part], here, self.factor[here].reshape(*here.shape, *[1] * spatial))


def multiply(block: Block, out: npt.NDArray[Any]) -> None:
    """Write the product of some rows and their factors."""
    with np.errstate(all="ignore"):  # its own for each thread: numpy 1 shares that of a decorator
        np.multiply(block.weights, block.factors, out=out, dtype=np.float64, casting="same_kind")


def bytes_of(block: Block) -> memoryview:
    """The bytes of the product."""
    out = np.empty(block.weights.shape, block.weights.dtype)
    multiply(block, out)
    return raw(out)


def multiplied(weights: Tensor, factor: Floats, groups: int | None) -> Tensor | str:
    """The weights times one factor per output channel; or why that cannot be, with {} for their type."""
    if not weights.size:
        return weights
    product = WeightProduct(weights, factor, groups)
    why = product.refusal()
    if why is not None:
        return why
    if weights.nbytes >= LARGE:
        return Tensor(weights.dtype, weights.shape, product)
    held = product.array()
    held.flags.writeable = False
    return Tensor.of(held, weights.dtype)


def is_within_range(block: Block, dtype: DType) -> bool:
    """Whether the smallest and the largest weight of each channel say that every product is a normal number, or exactly 0."""
    weights = block.weights if dtype.bits >= 32 else block.weights.astype(np.float32)
    sizes = np.abs(weights).reshape(*block.channels.shape, -1)
    largest, least = sizes.max(-1).astype(np.float64), sizes.min(-1).astype(np.float64)
    if not least.all():
        least = np.where(sizes == 0, np.inf, sizes).min(-1).astype(np.float64)
    by, limits = np.abs(block.factors).reshape(block.channels.shape), dtype.info
    return bool(((largest * by <= float(limits.max)) & ((least * by >= float(limits.smallest_normal)) | (by == 0))).all())


def is_precise(product: npt.NDArray[Any], source: npt.NDArray[Any], factor: Floats) -> bool:
    """Whether rounding cost no product more than half a unit in its last place: each is a normal number, or exactly 0."""
    small = np.abs(product) < DType.of(product.dtype).info.smallest_normal
    return not (small & (source != 0) & (factor != 0)).any() if small.any() else True
