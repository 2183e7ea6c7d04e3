"""Types of convolutions and poolings: windows that slide over the spatial axes."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, data, integer, integers, tensor, text
from graphopt.infer.shapes import add, ceil_divide, floor_divide, multiply
from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.types import TensorType


def conv(node: Node) -> Types:
    """Conv(x, w): (N, C, ...) and (M, C/group, ...) to (N, M, ...)."""
    x, w = data(node), tensor(node.input(1))
    if x.shape is None or w.shape is None:
        known = x.shape if x.shape is not None else w.shape
        if known is None:
            return (TensorType(x.dtype),)
        batch = None if x.shape is None else x.shape[0]
        return (TensorType(x.dtype, (batch, None if w.shape is None else w.shape[0], *(None,) * (len(known) - 2))),)
    if len(x.shape) != len(w.shape) or len(x.shape) < 2:
        raise NotKnown
    kernel = integers(node, "kernel_shape") or w.shape[2:]
    return (TensorType(x.dtype, (x.shape[0], w.shape[0], *_slid(node, x.shape[2:], kernel))),)


def conv_transpose(node: Node) -> Types:
    """ConvTranspose(x, w): (N, C, ...) and (C, M/group, ...) to (N, M, ...)."""
    x, w = data(node), tensor(node.input(1))
    if x.shape is None or w.shape is None:
        return (TensorType(x.dtype),)
    if integers(node, "output_shape") is not None or text(node, "auto_pad") not in ("NOTSET", "VALID"):
        raise TooHard
    count = len(x.shape) - 2
    kernel = integers(node, "kernel_shape") or w.shape[2:]
    strides, dilations = integers(node, "strides") or (1,) * count, integers(node, "dilations") or (1,) * count
    pads, extra = integers(node, "pads") or (0,) * (2 * count), integers(node, "output_padding") or (0,) * count
    if not len(kernel) == len(strides) == len(dilations) == len(extra) == count or len(pads) != 2 * count:
        raise NotKnown
    sizes: list[Size] = []
    for axis in range(count):
        window = add(multiply(add(kernel[axis], -1), dilations[axis]), 1)
        sizes.append(add(add(multiply(add(x.shape[2 + axis], -1), strides[axis]), window), extra[axis] - pads[axis] - pads[axis + count]))
    return (TensorType(x.dtype, (x.shape[0], multiply(w.shape[1], integer(node, "group")), *sizes)),)


def pool(node: Node) -> Types:
    """MaxPool, AveragePool and LpPool; MaxPool's second output are places."""
    x = data(node)
    kernel = integers(node, "kernel_shape")
    if kernel is None or integer(node, "ceil_mode") or text(node, "auto_pad") not in ("NOTSET", "VALID"):
        raise TooHard
    if x.shape is None:
        shape: Shape | None = (None,) * (len(kernel) + 2)
    elif len(x.shape) != len(kernel) + 2:
        raise NotKnown
    else:
        shape = (*x.shape[:2], *_slid(node, x.shape[2:], kernel))
    return TensorType(x.dtype, shape), TensorType(DType.int64, shape)


def global_pool(node: Node) -> Types:
    """GlobalAveragePool and its kin: every spatial axis becomes 1."""
    x = data(node)
    return (TensorType(x.dtype, None if x.shape is None else (*x.shape[:2], *(1,) * (len(x.shape) - 2))),)


def _slid(node: Node, extents: Shape, kernel: Shape) -> Shape:
    """How many windows fit. Source: Conv-11's text, "pads" and "auto_pad"."""
    count = len(extents)
    strides, dilations = integers(node, "strides") or (1,) * count, integers(node, "dilations") or (1,) * count
    pads = integers(node, "pads") or (0,) * (2 * count)
    padding = text(node, "auto_pad")
    if len(kernel) != count or len(strides) != count or len(dilations) != count or len(pads) != 2 * count or min(strides, default=1) < 1:
        raise NotKnown
    if padding in ("SAME_UPPER", "SAME_LOWER"):
        return tuple(map(ceil_divide, extents, strides))
    if padding == "VALID":
        pads = (0,) * (2 * count)
    sizes: list[Size] = []
    for axis, extent in enumerate(extents):
        window = add(multiply(add(kernel[axis], -1), dilations[axis]), 1)
        room = None if extent is None or window is None else extent + (pads[axis] + pads[axis + count]) - window
        sizes.append(add(floor_divide(room, strides[axis]), 1))
    if any(isinstance(extent, int) and extent < 0 for extent in sizes):
        raise NotKnown
    return tuple(sizes)


RULES: dict[str, InferenceRule] = {
    "AveragePool": pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_pool,
    "GlobalLpPool": global_pool,
    "GlobalMaxPool": global_pool,
    "LpPool": pool,
    "MaxPool": pool,
}
