"""BatchNormalization after a convolution: one factor and one term per output channel, which the weights can hold."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import Node, Tensor, Value
from graphopt.match import FLOATING, Call, Declined, Match, Operand, attr, const, op, opt, rule, tensor
from graphopt.patterns.weight_products import Floats, multiplied

# A weight with another reader is stored a second time; it is not worth more bytes than this.
MOST_COPIED: Final = 1 << 16

x, w, b = tensor("x"), const("w", dtype=FLOATING), opt(const("b", shape=("C",)))
scale, shift, mean, var = (const(name, shape=("C",)) for name in ("scale", "shift", "mean", "var"))


def normalized(conv: Operand) -> Call:
    """The pattern of a BatchNormalization in inference."""
    return op.BatchNormalization(conv, scale, shift, mean, var, epsilon=attr("epsilon"), training_mode=0).named("bn")


@rule(normalized(op.Conv(x, w, b).named("conv")), exactness="rounding", keeps_type=True)
def conv_bn_to_conv(m: Match, conv: Node, bn: Node, x: Value, w: Value, b: Value | None) -> Value | Declined:
    """BatchNormalization(Conv(x, w, b), scale, shift, mean, var)  ->  Conv(x, w', b')            rounding

    k  = scale / sqrt(var + epsilon)     (C,)           one factor per output channel
    w' = w * k                           (C, I/g, ...)
    b' = (b - mean) * k + shift          (C,)           b is 0 when absent
    """
    found = weights_and_bias(m, bn, w, b, groups=None)
    return found if isinstance(found, Declined) else m.op.Conv(x, *found, **conv.attributes)


@rule(normalized(op.ConvTranspose(x, w, b, group=attr("group")).named("conv")), exactness="rounding", keeps_type=True)
def convtranspose_bn_to_convtranspose(
    m: Match, conv: Node, bn: Node, x: Value, w: Value, b: Value | None, group: int
) -> Value | Declined:
    """BatchNormalization(ConvTranspose(x, w, b), scale, shift, mean, var)  ->  ConvTranspose(x, w', b')      rounding

    k  = scale / sqrt(var + epsilon)     (C,)                one factor per output channel
    w' = w * k                           (I, C/g, ...)       row i by the factors of its group: g * i // I
    b' = (b - mean) * k + shift          (C,)                b is 0 when absent
    """
    found = weights_and_bias(m, bn, w, b, groups=group)
    return found if isinstance(found, Declined) else m.op.ConvTranspose(x, *found, **conv.attributes)


def weights_and_bias(m: Match, bn: Node, w: Value, b: Value | None, groups: int | None) -> tuple[Value, Value] | Declined:
    """w' and b'; `groups` is None for a Conv, whose output channels are the rows of w."""
    weights, epsilon = tensor_of(w), m.bindings["epsilon"]
    if not isinstance(epsilon, float) or not isinstance(groups, int | None):
        return m.no("epsilon or the number of groups is for the function's caller to say")
    if len(bn.outputs) > 1:  # below opset 14 this is how training is spelled
        return m.no("the BatchNormalization has {} outputs: it trains", len(bn.outputs))
    parameters = [tensor_of(m.bindings[name]) for name in ("scale", "shift", "mean", "var")]
    bias = None if b is None else tensor_of(b)
    if any(held is not None and held.dtype != weights.dtype for held in (*parameters, bias)):
        return m.no("{} is {}, not all of the other constants are", w, weights.dtype)
    if w.uses > 1 and weights.nbytes > MOST_COPIED:
        return m.no("{} is read elsewhere too, a copy would add {} bytes", w, weights.nbytes)
    scale, shift, mean, var = map(elements, parameters)
    factor, term = factor_and_term(scale, shift, mean, var, 0.0 if bias is None else elements(bias), epsilon)
    if not np.isfinite(factor).all():
        return m.no("var + epsilon is not positive everywhere, or scale / sqrt(var + epsilon) is not finite")
    if len(factor) != (weights.shape[0] if groups is None else weights.shape[1] * groups):
        return m.no("{} does not have the {} output channels of the statistics", w, len(factor))
    with np.errstate(over="ignore"):
        rounded = term.astype(weights.dtype.numpy)
    if not np.isfinite(rounded.astype(np.float64)).all():
        return m.no("the new bias is not finite in {}", weights.dtype)
    scaled = multiplied(weights, factor, groups)
    if not isinstance(scaled, Tensor):
        return m.no(scaled, weights.dtype)
    return m.constant(scaled, name=w.name), m.constant(rounded, weights.dtype, name=f"{w.name}_bias" if b is None else b.name)


@np.errstate(all="ignore")
def factor_and_term(scale: Floats, shift: Floats, mean: Floats, var: Floats, b: Floats | float, epsilon: float) -> tuple[Floats, Floats]:
    """k and b' of the docstrings above; NaN where a variance is not positive."""
    variance = var + epsilon
    factor = np.where(variance > 0, scale / np.sqrt(variance), np.nan)
    return factor, (b - mean) * factor + shift


def elements(tensor: Tensor) -> Floats:
    """The elements in float64."""
    return tensor.numpy().astype(np.float64)


def tensor_of(value: Value) -> Tensor:
    """What a value holds that the pattern knows to be constant."""
    tensor = value.const
    if tensor is None:
        raise TypeError(f"{value!r} is not constant")
    return tensor
