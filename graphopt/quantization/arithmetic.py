"""Quantization in numpy, bit for bit as onnxruntime computes it where that is what ONNX says.

The quotient is taken and rounded in float32, half to even; the zero point is added after the rounding (QuantizeLinear 10 and newer).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType
from graphopt.ir.tensor import Array
from graphopt.quantization.parameters import FLOAT8_TYPES, Quantization


def limits(dtype: DType) -> tuple[float, float]:
    """The least and the greatest number of a quantized type."""
    return float(dtype.info.min), float(dtype.info.max)


def quantize(x: Array, by: Quantization) -> Array:
    """What QuantizeLinear makes of floats: an array of `by.dtype`.

    Out of contract: NaN; quotients of 2^31 and more, with which some of onnxruntime's kernels do not saturate; and numbers beyond the range
    of a float8 without `saturate`, of which it makes the greatest, an infinity or a NaN, by the type and by how far beyond.
    """
    scale, zero = (entries(part, by, x.shape) for part in (by.scale, by.zero_point))
    least, most = limits(by.dtype)
    with np.errstate(over="ignore"):
        quotient = x.astype(np.float32) / scale.astype(np.float32)
    if not by.dtype.is_integer:
        return np.asarray(np.clip(quotient, least, most) if by.saturate else quotient).astype(by.dtype.numpy)
    return np.asarray(np.clip(np.rint(quotient) + zero.astype(np.float32), least, most)).astype(by.dtype.numpy)


def dequantize(q: Array, by: Quantization) -> Array:
    """What DequantizeLinear makes of quantized numbers: an array of the scale's element type."""
    scale, zero = (entries(part, by, q.shape) for part in (by.scale, by.zero_point))
    wide = np.float32 if not by.dtype.is_integer else np.int32
    difference = q.astype(wide) - zero.astype(wide)
    with np.errstate(over="ignore"):  # what is too great for the scale's type is infinite, there too
        return np.asarray(difference.astype(np.float32) * scale.astype(np.float32)).astype(by.scale.dtype)


def entries(part: Array, by: Quantization, shape: tuple[int, ...]) -> Array:
    """Scales or zero points in a form that broadcasts against a tensor of a shape."""
    if by.axis is None:
        return part
    if not by.block:
        return part.reshape([-1 if axis == by.axis else 1 for axis in range(len(shape))])
    return np.repeat(part, by.block, axis=by.axis)[tuple(slice(size) for size in shape)]


def unsaturated(by: Quantization, rank: int | None) -> str:
    """Why onnxruntime may make the least number of what lies far above the range, not the greatest; empty when it saturates at both ends.

    Where it does not, it may also make the greatest of what lies far below, by a negative zero point, and bounds before and after
    quantizing are not the same. What was dequantized from as many bits never lies so far out.
    """
    if by.dtype.is_integer and by.scale_dtype is not DType.float32:
        return f"onnxruntime does not saturate an infinity of {by.scale_dtype}"
    if by.block and by.axis is not None and (rank is None or by.axis + 1 != rank):
        return "onnxruntime does not saturate blocks along an axis that is not the last"
    return ""


# How wide integers may be so that (q - z) * s, rounded to the scale's type, still leads back to q.
_WIDEST: Final = {DType.float32: 16, DType.float16: 8, DType.bfloat16: 4}
_LEAST_NORMAL: Final = 2.0**-126
_FINITE_FLOAT8: Final = FLOAT8_TYPES - {DType.float8e5m2}  # which has infinities


def loses(by: Quantization) -> str:
    """Why quantizing what was dequantized with the same parameters may not give back each number; empty when it does.

    Where it does, dequantizing is strictly monotone as well (strictly falling where the scale is negative). Integers of up to 16 bits with
    float32 scales, 8 bits with float16 and 4 bits with bfloat16, as long as no product overflows; float8 without infinities.
    """
    kind = by.scale_dtype
    scales = np.abs(by.scale.astype(np.float64))
    if not by.dtype.is_integer:
        if by.dtype not in _FINITE_FLOAT8 or kind is not DType.float32 or not by.saturate or by.zero_point.astype(np.float32).any():
            return f"{by.dtype} dequantized by {kind} does not always come back"
        smallest = float(np.finfo(np.float32).max) / limits(by.dtype)[1]
        fits = scales.min(initial=1) >= _LEAST_NORMAL * 2**18 and scales.max(initial=0) < smallest
        return "" if fits else "products of float8 and a scale leave the range of float32"
    if by.dtype.bits > _WIDEST.get(kind, 0):
        return f"{by.dtype} dequantized to {kind} does not always come back"
    least, most = limits(by.dtype)
    zero = by.zero_point.astype(np.float64)
    greatest = np.maximum(zero - least, most - zero) * scales
    highest = 65504.0 if kind is DType.float16 else float(np.finfo(np.float32).max) * (1 - 2.0**-8)  # the latter for bfloat16 too
    return "" if greatest.max(initial=0) <= highest else f"products of {by.dtype} and a scale leave the range of {kind}"
