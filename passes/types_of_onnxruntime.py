"""The types of operators that onnxruntime adds and passes of ours have to see through."""

from __future__ import annotations

from graphopt.ir import DType, Node, TensorType


def quantize(node: Node) -> tuple[TensorType | None]:
    """com.microsoft.QuantizeLinear(x, scale, zero_point): the shape of x; uint8 without a zero point."""
    zero = node.input(2)
    return (_like_data(node, DType.uint8 if zero is None else zero.dtype),)


def dequantize(node: Node) -> tuple[TensorType | None]:
    """com.microsoft.DequantizeLinear(x, scale, zero_point): the shape of x, the element type of the scale."""
    scale = node.input(1)
    return (_like_data(node, None if scale is None else scale.dtype),)


def _like_data(node: Node, dtype: DType | None) -> TensorType | None:
    data = node.input(0)
    return None if dtype is None or data is None else TensorType(dtype, data.shape)
