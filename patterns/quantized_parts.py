"""What operators that are quantized inside read and write, as DequantizeLinear and QuantizeLinear say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.ir.tensor import Array
from graphopt.match import Declined, Match, const, tensor
from graphopt.match.language import Leaf
from graphopt.quantization.parameters import INT8_TYPES

LEAST: Final = 2.0**-60
GREATEST: Final = 2.0**30


def integers(name: str) -> tuple[Leaf, Leaf, Leaf]:
    """Three inputs: quantized numbers, their scale and their zero point."""
    return (tensor(name), *parameters(name))


def parameters(name: str) -> tuple[Leaf, Leaf]:
    """Two inputs: a scale and a zero point, each a scalar or a vector."""
    scale = const(f"{name}_scale", dtype=DType.float32, where=lambda held: held.ndim <= 1 and are_scales(held))
    return scale, const(f"{name}_zero", dtype=INT8_TYPES, where=lambda held: held.ndim <= 1)


def are_scales(held: Array) -> bool:
    """Whether these are scales with which kernels compute alike: positive, and so that no product of two leaves the range of float32."""
    return bool(((held >= np.float32(LEAST)) & (held <= np.float32(GREATEST))).all())


def floats(m: Match, node: Node, *slots: int) -> tuple[Value, ...] | Declined:
    """DequantizeLinear of the numbers in these slots, whose scales and zero points, one of each, follow them."""
    return together([dequantized(m, node.inputs[slot : slot + 3]) for slot in slots])


def together(parts: Sequence[Value | Declined]) -> tuple[Value, ...] | Declined:
    """All of the parts, or why one is missing."""
    refused = next((part for part in parts if isinstance(part, Declined)), None)
    return tuple(part for part in parts if isinstance(part, Value)) if refused is None else refused


def dequantized(m: Match, part: Sequence[Value | None], axis: int | None = None, *, is_bias: bool = False) -> Value | Declined:
    """DequantizeLinear of numbers, their scale and zero point; scales may differ along `axis`. A bias, of int32, has no zero point."""
    x, scale, zero = part
    if x is None or scale is None:
        return m.no("an input is missing")
    if zero is None and not is_bias:
        if x.dtype is None:
            return m.no("the element type of {} is not known", x)
        zero = m.constant(np.zeros((), x.dtype.numpy))
    found = scales_of(m, scale, axis)
    if isinstance(found, Declined):
        return found
    if zero is not None and zero.shape != found.shape:
        shape = () if found.const is None else found.const.shape
        if zero.const is None or zero.const.size not in (1, *shape):
            return m.no("{} and {} do not go together", scale, zero)
        zero = m.constant(np.broadcast_to(zero.const.numpy().reshape(-1), shape or (1,)).reshape(shape))
    return m.op.DequantizeLinear(x, found, zero, axis=None if not found.rank else axis)


def quantized(m: Match, node: Node, slot: int, value: Value) -> Value | Declined:
    """QuantizeLinear of a value with the scale and the zero point in this slot and the next one."""
    scale, zero = node.input(slot), node.input(slot + 1)
    if scale is None or zero is None:
        return m.no("without a zero point it is not known what {} makes", node.op)
    found = scales_of(m, scale, None)
    if isinstance(found, Declined):
        return found
    if zero.const is not None and zero.rank != 0:
        if zero.const.size != 1:
            return m.no("{} holds {} zero points", zero, zero.const.size)
        zero = m.constant(zero.const.numpy().reshape(()))
    return m.op.QuantizeLinear(value, found, zero)


def scales_of(m: Match, scale: Value, axis: int | None) -> Value | Declined:
    """A scale as DequantizeLinear takes it: a scalar, or a vector along `axis`."""
    if scale.const is None:
        return scale if scale.rank == 0 else m.no("{} is neither constant nor a scalar", scale)
    held = scale.const.numpy()
    if held.size != 1 and (axis is None or held.size != max(held.shape)):
        return m.no("{} is {}, not one scale", scale, scale.type)
    shape = () if held.size == 1 else (held.size,)
    return scale if scale.shape == shape else m.constant(held.reshape(shape))


def bias_of(m: Match, c: Value, a: Value, b: Value, factor: float = 1.0) -> Value | Declined:
    """DequantizeLinear of a bias of int32, along its last axis, with the scale of what it is added to, in float32 as kernels compute it."""
    held = [value.const.numpy().astype(np.float32).reshape(-1) for value in (a, b) if value.const is not None]
    if len(held) < 2:
        return m.no("a bias of integers needs scales that are constant")
    with np.errstate(over="ignore", under="ignore"):
        product = held[0] * held[1] * np.float32(factor)
    if product.size > 1 and (c.shape is None or c.shape[-1:] != product.shape):
        return m.no("{} has no element for each of the scales of {}", c, b)
    scale = m.constant(product.reshape(() if product.size == 1 else -1), name=f"{c.name}_scale")
    return dequantized(m, (c, scale, None), (c.rank or 1) - 1, is_bias=True)
