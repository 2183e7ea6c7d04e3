"""Parameters for numbers that are not quantized yet: from the range of a tensor, or from weights themselves."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType
from graphopt.ir.tensor import Array
from graphopt.quantization.arithmetic import limits
from graphopt.quantization.parameters import Quantization

LEAST_SCALE: Final = np.float32(2.0**-126)  # below it a float32 has fewer digits, and some runtimes take it for 0


def of_range(low: float, high: float, dtype: DType, *, symmetric: bool = False) -> Quantization:
    """Parameters for a whole tensor of float32 whose elements lie between two numbers; 0 becomes an integer.

    scale = (high - low) / (the numbers of `dtype` less one), zero point = round(least - low / scale), for a range that holds 0;
    `symmetric`: scale = max(|low|, |high|) / (the greatest signed number), zero point in the middle.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        return _symmetric(np.asarray(max(-low, high), np.float32), dtype, None)
    least, most = limits(dtype)
    scale = _scale(np.asarray((np.float32(high) - np.float32(low)) / np.float32(most - least), np.float32), low == high)
    zero = np.clip(np.rint(np.float32(least) - np.float32(low) / scale), least, most)
    return Quantization(scale, np.asarray(zero).astype(dtype.numpy), dtype)


def of_weights(weights: Array, dtype: DType, axis: int | None) -> Quantization:
    """Symmetric parameters for weights, an entry for each index of `axis`, or one."""
    axes = tuple(range(weights.ndim)) if axis is None else tuple(other for other in range(weights.ndim) if other != axis)
    return _symmetric(np.abs(weights).max(axis=axes, initial=0).astype(np.float32), dtype, axis)


def of_blocks(weights: Array, dtype: DType, block: int, *, symmetric: bool) -> Quantization:
    """Parameters for blocks of the first axis of weights (K, N); the last block may be shorter."""
    starts = np.arange(0, weights.shape[0], block)
    low, high = (np.minimum.reduceat(weights, starts, axis=0), np.maximum.reduceat(weights, starts, axis=0))
    low, high = np.minimum(low, 0).astype(np.float32), np.maximum(high, 0).astype(np.float32)
    if symmetric:
        return _symmetric(np.maximum(-low, high), dtype, 0, block)
    least, most = limits(dtype)
    scale = _scale((high - low) / np.float32(most - least), low == high)
    zero = np.clip(np.rint(np.float32(least) - low / scale), least, most)
    return Quantization(scale, zero.astype(dtype.numpy), dtype, 0, block)


def _symmetric(greatest: Array, dtype: DType, axis: int | None, block: int = 0) -> Quantization:
    least, most = limits(dtype)
    middle = (least + most + 1) / 2  # 0 for signed integers, 128 for uint8
    scale = _scale(greatest / np.float32(most - middle), greatest == 0)
    return Quantization(scale, np.full(scale.shape, middle).astype(dtype.numpy), dtype, axis, block)


def _scale(found: Array, is_empty: Array | bool) -> Array:
    """Scales that are normal numbers, 1 where all elements are 0."""
    made: Array = np.where(is_empty, np.float32(1), np.maximum(found, LEAST_SCALE)).astype(np.float32)
    return made
