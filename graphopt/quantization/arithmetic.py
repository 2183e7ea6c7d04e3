"""Quantization in numpy, bit for bit as onnxruntime computes it where that is what ONNX says.

The quotient is taken and rounded in float32, half to even; the zero point is added after the rounding (QuantizeLinear 10 and newer).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.ir import DType
from graphopt.ir.tensor import Array
from graphopt.quantization.parameters import Quantization


def limits(dtype: DType) -> tuple[float, float]:
    """The least and the greatest number of a quantized type."""
    import ml_dtypes

    if dtype.is_integer:
        bits = dtype.bits
        return (0.0, 2.0**bits - 1) if dtype.name.startswith("u") else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
    found: Any = ml_dtypes.finfo(dtype.numpy)  # type: ignore[no-untyped-call]  # ml_dtypes leaves it untyped
    return float(found.min), float(found.max)


def quantize(x: Array, by: Quantization) -> Array:
    """What QuantizeLinear makes of floats: an array of `by.dtype`. NaN is out of contract."""
    scale, zero = (entries(part, by, x.shape) for part in (by.scale, by.zero_point))
    quotient = x.astype(np.float32) / scale.astype(np.float32)
    least, most = limits(by.dtype)
    if not by.dtype.is_integer:
        return (np.clip(quotient, least, most) if by.saturate else quotient).astype(by.dtype.numpy)
    made: Array = np.clip(np.rint(quotient) + zero.astype(np.float32), least, most).astype(by.dtype.numpy)
    return made


def dequantize(q: Array, by: Quantization) -> Array:
    """What DequantizeLinear makes of quantized numbers: an array of the scale's element type."""
    scale, zero = (entries(part, by, q.shape) for part in (by.scale, by.zero_point))
    wide = np.float32 if not by.dtype.is_integer else np.int32
    difference = q.astype(wide) - zero.astype(wide)
    made: Array = (difference.astype(np.float32) * scale.astype(np.float32)).astype(by.scale.dtype)
    return made


def entries(part: Array, by: Quantization, shape: tuple[int, ...]) -> Array:
    """Scales or zero points in a form that broadcasts against a tensor of a shape."""
    if by.axis is None:
        return part
    if not by.block:
        return part.reshape([-1 if axis == by.axis else 1 for axis in range(len(shape))])
    return np.repeat(part, by.block, axis=by.axis)[tuple(slice(size) for size in shape)]
