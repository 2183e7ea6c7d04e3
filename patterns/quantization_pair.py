"""A QuantizeLinear and a DequantizeLinear in the place of arithmetic that rounds to a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from graphopt.ir import DType, Value
from graphopt.ir.tensor import Array
from graphopt.match import Declined, Match
from graphopt.quantization import limits

SINCE: Final = {DType.int8: 10, DType.uint8: 10, DType.int16: 21, DType.uint16: 21}
CLIPPED: Final = frozenset({DType.int8, DType.uint8})  # onnxruntime clips no integers of 16 bits
PER_AXIS: Final = 13  # the opset since which there are several scales


@final
@dataclass(frozen=True, slots=True)
class RoundingGrid:
    """(clip(round(x / scale) + zero_point, least, most) - zero_point) * scale, with one entry for all or for each index of an axis."""

    axis: int | None
    scale: Array
    zero_point: Array
    least: float
    most: float

    @property
    def shift(self) -> tuple[float, float]:
        """The least and the greatest zero point."""
        return float(self.zero_point.min()), float(self.zero_point.max())


def rounding_grid(x: Value, scale: Value, zero_point: Value | None, least: float, most: float) -> RoundingGrid | str:
    """The grid on which x is rounded by constants that broadcast against it; in words, why there is none."""
    if scale.const is None or (zero_point is not None and zero_point.const is None):
        return "its scale or its zero point is not constant"
    scales = scale.const.numpy().astype(np.float32)
    zeros: Array = np.zeros((), np.float32) if zero_point is None or zero_point.const is None else zero_point.const.numpy()
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        return "a scale is not a positive number"
    whole = zeros.astype(np.float32)
    if not (np.isfinite(whole).all() and (whole == np.rint(whole)).all()):
        return "a zero point is not a whole number"
    found = placed(x, scales, whole)
    if isinstance(found, str):
        return found
    if not (float(least).is_integer() and float(most).is_integer() and least <= most):
        return f"{least} and {most} are not two whole numbers in order"
    return RoundingGrid(*found, least, most)


def placed(x: Value, scales: Array, zeros: Array) -> tuple[int | None, Array, Array] | str:
    """Along which axis of x scales and zero points differ, None for none, and the entries."""
    rank = max(scales.ndim, zeros.ndim)
    if rank and (x.shape is None or rank > len(x.shape)):
        return f"{x!r} may have fewer axes than its scales"
    if scales.size == zeros.size == 1:
        return None, scales.reshape(()), zeros.reshape(())
    try:
        shape = np.broadcast_shapes(scales.shape, zeros.shape)
    except ValueError:
        return f"scales of {scales.shape} and zero points of {zeros.shape} do not fit"
    wide = [axis for axis, size in enumerate(shape) if size != 1]
    if len(wide) > 1 or not np.prod(shape):
        return f"scales of {shape} are not one for each index of an axis"
    axis = len(x.shape or ()) - len(shape) + wide[0]
    if x.shape is None or x.shape[axis] != shape[wide[0]]:
        return f"{x!r} has not {shape[wide[0]]} indices along axis {axis}"
    return axis, np.broadcast_to(scales, shape).reshape(-1), np.broadcast_to(zeros, shape).reshape(-1)


def pair(m: Match, x: Value, grid: RoundingGrid, name: str) -> Value | Declined:
    """DequantizeLinear(QuantizeLinear(x)), with a Clip between where the grid is narrower than any type of 8 or 16 bits."""
    opset = m.opset() or 0
    if grid.axis is not None and opset < PER_AXIS:
        return m.no("there are scales for each index of an axis since opset {0} only; optimize with --opset {0}", PER_AXIS)
    dtype = type_for(grid, opset)
    if dtype is None:
        range_and_shift = (grid.least, grid.most, *grid.shift)
        return m.no("no type of opset {} holds {:.0f} to {:.0f} and zero points of {:.0f} to {:.0f}", opset, *range_and_shift)
    scale = m.constant(grid.scale, DType.float32, name=f"{name}_scale")
    zero = m.constant(grid.zero_point.astype(dtype.numpy), dtype, name=f"{name}_zero_point")
    q = m.op.QuantizeLinear(x, scale, zero, axis=grid.axis)
    if (grid.least, grid.most) != limits(dtype):
        q = m.op.Clip(q, *(m.constant(np.array(bound, dtype.numpy), dtype, name=f"{name}_bound") for bound in (grid.least, grid.most)))
    return m.op.DequantizeLinear(q, scale, zero, axis=grid.axis)


def type_for(grid: RoundingGrid, opset: int) -> DType | None:
    """The type whose range is the grid's, or one of 8 bits that holds it; None when there is none."""
    low, high = grid.shift
    holding = [dtype for dtype in SINCE if SINCE[dtype] <= opset and holds(dtype, grid.least, grid.most) and holds(dtype, low, high)]
    same = [dtype for dtype in holding if limits(dtype) == (grid.least, grid.most)]
    if same:
        return same[0]
    narrow = [dtype for dtype in holding if dtype in CLIPPED]
    unsigned = [dtype for dtype in narrow if limits(dtype)[0] == 0]
    return next(iter(unsigned if grid.least >= 0 and unsigned else narrow), None)


def holds(dtype: DType, least: float, most: float) -> bool:
    """Whether a type has all numbers of a range."""
    low, high = limits(dtype)
    return low <= least and most <= high
