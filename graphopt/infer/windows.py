"""Types of convolutions and poolings: windows that slide over the spatial axes."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, data, integer, integers, one, shape_of, tensor, text
from graphopt.infer.shapes import add, bounds, ceil_divide, floor_divide, multiply, subtract
from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node
from graphopt.ir.types import TensorType


def conv(node: Node) -> Types:
    """Conv(x, w): (N, C, ...) and (M, C/group, ...) to (N, M, ...)."""
    x, w = data(node), tensor(node.input(1))
    return one(x.dtype, _convolved(node, x.shape, w.shape))


def conv_integer(node: Node) -> Types:
    """ConvInteger(x, w): as Conv, of integers, to int32."""
    return one(DType.int32, _convolved(node, shape_of(node.input(0)), shape_of(node.input(1))))


def quantized_conv(node: Node) -> Types:
    """QLinearConv(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero): as Conv, to the element type of y_zero."""
    return one(tensor(node.input(7)).dtype, _convolved(node, shape_of(node.input(0)), shape_of(node.input(3))))


def _convolved(node: Node, x: Shape | None, w: Shape | None) -> Shape | None:
    if x is None or w is None:
        known = x if x is not None else w
        if known is None:
            return None
        return (None if x is None else x[0], None if w is None else w[0], *(None,) * (len(known) - 2))
    if len(x) != len(w) or len(x) < 2:
        raise NotKnown
    kernel = integers(node, "kernel_shape") or w[2:]
    return (x[0], w[0], *_slid(node, x[2:], kernel))


def conv_transpose(node: Node) -> Types:
    """ConvTranspose(x, w): (N, C, ...) and (C, M/group, ...) to (N, M, ...)."""
    x, w = data(node), tensor(node.input(1))
    if x.shape is None or w.shape is None:
        return (TensorType(x.dtype),)
    count = len(x.shape) - 2
    channels = multiply(w.shape[1], integer(node, "group"))
    fixed = integers(node, "output_shape")
    if fixed is not None:
        if len(fixed) != count:
            raise TooHard
        return (TensorType(x.dtype, (x.shape[0], channels, *fixed)),)
    kernel = integers(node, "kernel_shape") or w.shape[2:]
    strides, dilations = integers(node, "strides") or (1,) * count, integers(node, "dilations") or (1,) * count
    pads, extra = integers(node, "pads") or (0,) * (2 * count), integers(node, "output_padding") or (0,) * count
    if not len(kernel) == len(strides) == len(dilations) == len(extra) == count or len(pads) != 2 * count:
        raise NotKnown
    if text(node, "auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
        if any(extra):
            raise TooHard
        return (TensorType(x.dtype, (x.shape[0], channels, *map(multiply, x.shape[2:], strides))),)
    sizes: list[Size] = []
    for axis in range(count):
        window = add(multiply(add(kernel[axis], -1), dilations[axis]), 1)
        sizes.append(add(add(multiply(add(x.shape[2 + axis], -1), strides[axis]), window), extra[axis] - pads[axis] - pads[axis + count]))
    return (TensorType(x.dtype, (x.shape[0], channels, *sizes)),)


def pool(node: Node) -> Types:
    """MaxPool, AveragePool and LpPool; MaxPool's second output are places."""
    x = data(node)
    kernel = integers(node, "kernel_shape")
    if kernel is None:
        raise NotKnown
    if x.shape is None:
        shape: Shape | None = (None,) * (len(kernel) + 2)
    elif len(x.shape) != len(kernel) + 2:
        raise NotKnown
    else:
        shape = (*x.shape[:2], *_slid(node, x.shape[2:], kernel, pools=True))
    return TensorType(x.dtype, shape), TensorType(DType.int64, shape)


def global_pool(node: Node) -> Types:
    """GlobalAveragePool and its kin: every spatial axis becomes 1."""
    x = data(node)
    return (TensorType(x.dtype, None if x.shape is None else (*x.shape[:2], *(1,) * (len(x.shape) - 2))),)


def _slid(node: Node, extents: Shape, kernel: Shape, *, pools: bool = False) -> Shape:
    """How many windows fit. Source: the texts of Conv-11 and MaxPool-12, "pads", "auto_pad" and "ceil_mode"."""
    count = len(extents)
    strides, dilations = integers(node, "strides") or (1,) * count, integers(node, "dilations") or (1,) * count
    pads = integers(node, "pads") or (0,) * (2 * count)
    padding = text(node, "auto_pad")
    if len(kernel) != count or len(strides) != count or len(dilations) != count or len(pads) != 2 * count or min(strides, default=1) < 1:
        raise NotKnown
    if padding in ("SAME_UPPER", "SAME_LOWER"):
        if pools and integer(node, "ceil_mode"):
            raise TooHard
        return tuple(map(ceil_divide, extents, strides))
    if padding == "VALID" and any(pads):  # which its text forbids: runtimes count windows without the pads, onnx with them
        return (None,) * count
    ceils = bool(pools and integer(node, "ceil_mode"))
    sizes: list[Size] = []
    for axis, extent in enumerate(extents):
        window = add(multiply(add(kernel[axis], -1), dilations[axis]), 1)
        before, after = pads[axis], pads[axis + count]
        if pools:
            sizes.append(_pooled(extent, window, before, after, strides[axis], ceils=ceils))
        else:  # a run in which not even one window fits fails
            sizes.append(add(floor_divide(subtract(add(extent, before + after), window), strides[axis]), 1))
    if any(isinstance(extent, int) and extent < 0 for extent in sizes):
        raise NotKnown
    return tuple(sizes)


def _pooled(extent: Size, window: Size, before: int, after: int, stride: int, *, ceils: bool) -> Size:
    """How many windows of a pooling fit. A run with an extent of 0 fails.

    Where not even one fits, onnxruntime rounds towards 0 instead of down, so that one comes out where the operator's text says none.

    Rounded up, the last window is left out when it would begin in the padding behind. That cannot be when it is as wide as that padding
    and a step: the last one begins less than a step after the last that fits.
    """
    if extent is None or not isinstance(window, int):
        return None
    room = extent + (before + after - window)
    if not ceils:
        least, _ = bounds(extent)
        always_fits = max(least or 0, 1) + before + after >= window
        return add(floor_divide(room, stride), 1) if stride == 1 or always_fits else None
    count = add(ceil_divide(room, stride), 1)
    if window >= after + stride:
        return count
    if isinstance(count, int) and isinstance(extent, int):
        return count - 1 if (count - 1) * stride >= extent + before else count
    return None


RULES: dict[str, InferenceRule] = {
    "AveragePool": pool,
    "Conv": conv,
    "ConvInteger": conv_integer,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_pool,
    "GlobalLpPool": global_pool,
    "GlobalMaxPool": global_pool,
    "LpPool": pool,
    "MaxPool": pool,
    "QLinearConv": quantized_conv,
}
