"""Operators that an opset took away or gave another meaning, said by several nodes of that opset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from graphopt.ir.dtype import DType
from graphopt.ir.graph import Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.rewrite.respell import Maker
from graphopt.schema.older import constant
from graphopt.schema.spelling import UNKNOWN, CannotSpell, has_neutral_form, neutral_attribute, neutral_inputs
from graphopt.schema.versions import FLATTENING, FLATTENING_UNTIL

Successor: TypeAlias = "Callable[[Node, Maker], Value | None]"


def succeeded(node: Node, make: Maker) -> Value | None:
    """What gives the first output of a node at another opset where one node of the same operator cannot; None where it can.

    Raises CannotSpell when nothing can.
    """
    successor = _SUCCESSORS.get(node.op)
    return None if successor is None else successor(node, make)


def _normalized(node: Node, make: Maker) -> Value | None:
    """Softmax(x, axis) below 13  ->  Reshape(Softmax(Flatten(x, axis), -1), Shape(x))          LogSoftmax and Hardmax likewise

    Below 13 all axes from `axis` on are one.
    """
    if (node.opset or 0) > FLATTENING_UNTIL or make.opset <= FLATTENING_UNTIL or has_neutral_form(node):
        return None
    axis, x = node.attributes.get("axis"), node.input(0)
    if axis is not None and axis.reference:
        raise CannotSpell("its axis is supplied by the caller of the function")
    if x is None:
        raise CannotSpell("it has no input")
    flat = make(node.op_type, make("Flatten", x, axis=1 if axis is None else axis.value), axis=-1)
    if x.shape is not None and all(isinstance(size, int) and size > 0 for size in x.shape):
        return make("Reshape", flat, constant(Tensor.of([int(size) for size in x.shape if isinstance(size, int)], DType.int64)))
    if make.opset < 14:
        raise CannotSpell("it normalizes several axes at once and an extent may be 0, which no Reshape below opset 14 can say")
    return make("Reshape", flat, make("Shape", x), allowzero=1)


def _resized(node: Node, make: Maker) -> Value | None:
    """Upsample(x, scales)  ->  Resize(x, scales, coordinates 'asymmetric', rounding 'floor')"""
    if make.opset < 10:
        return None
    mode, (x, scales) = neutral_attribute(node, "mode"), (*neutral_inputs(node), None)[:2]
    if mode is UNKNOWN or ("scales" in node.attributes and node.attributes["scales"].reference):
        raise CannotSpell("its attributes are supplied by the caller of the function")
    return make("Resize", x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _scattered(node: Node, make: Maker) -> Value | None:
    """Scatter(data, indices, updates)  ->  ScatterElements(data, indices, updates)"""
    if make.opset < 11:
        return None
    return make("ScatterElements", *node.inputs, axis=neutral_attribute(node, "axis"))


def _grouped(node: Node, make: Maker) -> Value | None:
    """GroupNormalization(x, scale, bias) of 18  ->  GroupNormalization(x, scale', bias') of 21          scale: (G,)  scale': (C,)

    Below 21 there is a scale for each group, since 21 for each channel.
    """
    if (node.opset or 0) >= 21 or make.opset < 21:
        return None
    x, groups, epsilon = node.input(0), node.attribute("num_groups"), neutral_attribute(node, "epsilon")
    channels = x.shape[1] if x is not None and x.shape is not None and len(x.shape) > 1 else None
    if x is None or not isinstance(groups, int) or not isinstance(channels, int) or groups < 1 or channels % groups or epsilon is UNKNOWN:
        raise CannotSpell("its scale and bias are one for each group, since opset 21 one for each channel, and the channels are not known")
    if x.dtype is not DType.float32:
        raise CannotSpell("since opset 21 it computes in float32, before in the type of its input")
    scale, bias = (_per_channel(value, groups, channels // groups, make) for value in node.inputs[1:3])
    return make("GroupNormalization", x, scale, bias, num_groups=groups, epsilon=epsilon)


def _per_channel(value: Value | None, groups: int, size: int, make: Maker) -> Value | None:
    """Each element of a vector repeated."""
    if value is None or size == 1:
        return value
    if value.const is not None:
        return constant(Tensor.of(np.repeat(value.const.numpy().reshape(-1), size), value.const.dtype))
    column = make("Reshape", value, constant(Tensor.of([groups, 1], DType.int64)))
    table = make("Expand", column, constant(Tensor.of([groups, size], DType.int64)))
    return make("Reshape", table, constant(Tensor.of([groups * size], DType.int64)))


def _constant(node: Node, make: Maker) -> Value | None:
    """Constant(value_ints = [1, 2])  ->  Constant(value = {1, 2}), which any opset can say"""
    tensor = node.output.tensor
    if make.opset >= 12 or "value" in node.attributes:
        return None
    if tensor is None or any(held.reference for held in node.attributes.values()):
        raise CannotSpell("below opset 12 it holds a tensor alone")
    return make("Constant", value=tensor)


_SUCCESSORS: Final[dict[str, Successor]] = {
    **dict.fromkeys(sorted(FLATTENING), _normalized),
    "Constant": _constant,
    "GroupNormalization": _grouped,
    "Scatter": _scattered,
    "Upsample": _resized,
}
