"""Factors and terms per output channel after a convolution with quantized weights, which the scales of the weights can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import Node, Tensor, Value
from graphopt.ir.tensor import Array
from graphopt.match import Call, Declined, Match, const, op, opt, rule, tensor
from graphopt.patterns.normalization import elements, factor_and_term, normalized, tensor_of
from graphopt.patterns.quantization_calls import called, dequantize
from graphopt.patterns.weight_products import Floats
from graphopt.quantization import Quantization, is_dequantize, limits
from graphopt.quantization import dequantize as dequantized
from graphopt.quantization.nodes import plain_quantization

c = const("c")


def conv() -> Call:
    """The pattern of a convolution whose weights are dequantized."""
    return op.Conv(tensor("x"), dequantize(const("w", shape=("C", "I", "H", ...))), opt(tensor("b"))).named("conv")


HELD: Final = (
    "int8[2,2,1,1] w = {1, -127, 50, 7}, float s = {0.02}, float[2] sc = {0.02, 0.3}, int8[2] zc = {0, 0}, int8 z = {0}, "
    "float[2] b = {1, -2}, int32[2] i = {100, -3}, float[2] k = {2, -0.5}, float[2] v = {1, 0.25}, "
    "float[2,1,1] c = {3, 0.1}, float[2,1,1] n = {-3, 0.1}, float two = {2.5}"
)


def examples(*ends: str) -> Callable[[], list[str]]:
    """Models of two channels, with weights of one scale and of two, and with and without a bias."""
    return lambda: [
        f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[1,2,3,4] x) => (float[1,2,3,4] y) <{HELD}> {{ {weights} '
        f"e = DequantizeLinear(i, s) t = Conv(x, d{bias}) {end} }}"
        for opset in (17,)
        for weights in ("d = DequantizeLinear(w, s)", "d = DequantizeLinear<axis = 0>(w, sc, zc)")
        for bias in ("", ", b", ", e")
        for end in ends
    ]


@rule(op.Mul(conv(), c), exactness="rounding", keeps_type=True, examples=examples("y = Mul(t, c)", "y = Mul(n, t)", "y = Mul(t, two)"))
def quantized_conv_mul_to_conv(m: Match, conv: Node, dq: Node, x: Value, w: Value, b: Value | None, c: Value) -> Value | Declined:
    """Mul(Conv(x, DequantizeLinear(w, s), b), c)  ->  Conv(x, DequantizeLinear(w, s * c), b * c)             rounding

    c: one element, or (C, 1, ...): one per output channel. The stored integers stay, but where c is negative: there they are negated.
    """
    held, weights = tensor_of(c), tensor_of(w)
    rank, channels = len(weights.shape), weights.shape[0] if weights.shape else 0
    if len(held.shape) > rank or (1,) * (rank - len(held.shape)) + held.shape not in ((1,) * rank, (1, channels, *[1] * (rank - 2))):
        return m.no("{} is {}, not one element per output channel of {}", c, c.type, w.type)
    factor = np.broadcast_to(elements(held).reshape(-1), (channels,))
    return folded(m, conv, dq, (x, w, b), factor, None)


@rule(normalized(conv()), exactness="rounding", keeps_type=True, examples=examples("y = BatchNormalization(t, k, b, b, v)"))
def quantized_conv_bn_to_conv(m: Match, conv: Node, bn: Node, dq: Node, x: Value, w: Value, b: Value | None) -> Value | Declined:
    """BatchNormalization(Conv(x, DequantizeLinear(w, s), b), ...)  ->  Conv(x, DequantizeLinear(w, s * k), b')       rounding

    k  = scale / sqrt(var + epsilon)     (C,)           one factor per output channel
    b' = (b - mean) * k + shift          (C,)           b is 0 when absent
    The stored integers stay, but where k is negative: there they are negated.
    """
    epsilon = m.bindings["epsilon"]
    if not isinstance(epsilon, float):
        return m.no("epsilon is for the function's caller to say")
    if len(bn.outputs) > 1:  # below opset 14 this is how training is spelled
        return m.no("the BatchNormalization has {} outputs: it trains", len(bn.outputs))
    parameters = [tensor_of(m.bindings[name]) for name in ("scale", "shift", "mean", "var")]
    if any(held.dtype != x.dtype for held in parameters):
        return m.no("{} is {}, not all of the constants are", x, x.dtype)
    scale, shift, mean, var = map(elements, parameters)
    factor, term = factor_and_term(scale, shift, mean, var, 0.0, epsilon)
    return folded(m, conv, dq, (x, w, b), factor, term)


def folded(
    m: Match, conv: Node, dq: Node, operands: tuple[Value, Value, Value | None], factor: Floats, term: Floats | None
) -> Value | Declined:
    """The convolution whose weights and bias hold a factor, and a term, per output channel."""
    x, w, b = operands
    by = plain_quantization(dq)
    if isinstance(by, str):
        return m.no("{}", by)
    weights = tensor_of(w)
    if by.axis not in (None, 0) or by.block or not weights.shape or weights.shape[0] != len(factor):
        return m.no("{} has no scale for each of {} output channels", w, len(factor))
    if not (np.isfinite(factor) & (factor != 0)).all():
        return m.no("a factor is 0, infinite or NaN")
    bias = None if b is None else held_bias(b)
    if b is not None and bias is None:
        return m.no("{} is not constant", b)
    scaled = rescaled(by, factor)
    if scaled is None:
        return m.no("a scale would leave the normal numbers of {}", by.scale_dtype)
    stored = negated(weights.numpy(), by, factor < 0) if (factor < 0).any() else None
    if (factor < 0).any() and stored is None:
        return m.no("{} cannot be negated where a factor is negative: its range is not symmetric there", w)
    shifted = None if bias is None and term is None else (0 if bias is None else bias * factor) + (0 if term is None else term)
    if shifted is not None and not np.isfinite(np.asarray(shifted).astype(by.scale.dtype).astype(np.float64)).all():
        return m.no("the new bias is not finite in {}", by.scale_dtype)
    held = w if stored is None else m.constant(Tensor.of(stored, by.dtype), name=w.name)
    new_bias = None if shifted is None else m.constant(shifted, by.scale_dtype, name=f"{w.name}_bias" if b is None else b.name)
    return m.op.Conv(x, called(m, dq, held, scaled), new_bias, **conv.attributes)


def rescaled(by: Quantization, factor: Floats) -> Quantization | None:
    """The parameters with the size of a factor for each channel; None where a scale leaves the normal numbers."""
    scale = (np.broadcast_to(by.scale, factor.shape).astype(np.float64) * np.abs(factor)).astype(by.scale.dtype)
    wide, info = scale.astype(np.float64), by.scale_dtype.info
    if not np.isfinite(wide).all() or (np.abs(wide) < float(info.tiny)).any():
        return None
    zero = np.broadcast_to(by.zero_point, factor.shape)
    if (scale == scale[:1]).all() and (zero == zero[:1]).all():
        return by.with_entries(scale[0].reshape(()), zero[0].reshape(()), None)
    return by.with_entries(scale, np.ascontiguousarray(zero), 0)


def negated(weights: Array, by: Quantization, channels: Array) -> Array | None:
    """The weights with the numbers of some channels on the other side of the zero point; None where one is out of range."""
    if not by.dtype.is_integer:
        return None
    zero = np.broadcast_to(by.zero_point, channels.shape)[channels].astype(np.int32).reshape(-1, *[1] * (weights.ndim - 1))
    turned = 2 * zero - weights[channels].astype(np.int32)
    least, most = limits(by.dtype)
    if turned.size and (turned.min() < least or turned.max() > most):
        return None
    made = np.array(weights)
    made[channels] = turned.astype(weights.dtype)
    return made


def held_bias(b: Value) -> Floats | None:
    """A bias that is constant, as it is or once dequantized."""
    if b.const is not None:
        return elements(b.const)
    node = b.producer
    if node is None or not is_dequantize(node) or node.inputs[0] is None or node.inputs[0].const is None:
        return None
    by = plain_quantization(node)
    return None if isinstance(by, str) else dequantized(node.inputs[0].const.numpy(), by).astype(np.float64)
