"""Factors and terms per output channel after a convolution, which its weights can hold."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Node, Tensor, Value
from graphopt.match import FLOATING, Call, Declined, Match, attr, const, op, opt, rule, tensor
from graphopt.patterns.normalization import MOST_COPIED, elements, tensor_of
from graphopt.patterns.weight_products import Floats, multiplied

x, w, b, c = tensor("x"), const("w", dtype=FLOATING), opt(const("b", shape=("C",))), const("c")


def conv() -> Call:
    """The pattern of a convolution with constant weights."""
    return op.Conv(x, w, b).named("conv")


def convtranspose() -> Call:
    """The pattern of a transposed convolution with constant weights."""
    return op.ConvTranspose(x, w, b, group=attr("group")).named("conv")


@rule(op.Mul(conv(), c), exactness="rounding", keeps_type=True)
def conv_mul_to_conv(m: Match, conv: Node, x: Value, w: Value, b: Value | None, c: Value) -> Value | Declined:
    """Mul(Conv(x, w, b), c)  ->  Conv(x, w * c, b * c)                         rounding

    c: one element, or (C, 1, ...): one per output channel.
    """
    found = scaled(m, w, b, c, groups=None)
    return found if isinstance(found, Declined) else m.op.Conv(x, *found, **conv.attributes)


@rule(op.Mul(convtranspose(), c), exactness="rounding", keeps_type=True)
def convtranspose_mul_to_convtranspose(
    m: Match, conv: Node, x: Value, w: Value, b: Value | None, c: Value, group: int
) -> Value | Declined:
    """Mul(ConvTranspose(x, w, b), c)  ->  ConvTranspose(x, w * c, b * c)       rounding

    c: one element, or (C, 1, ...): one per output channel, the rows of w by the factors of their group.
    """
    found = scaled(m, w, b, c, groups=group)
    return found if isinstance(found, Declined) else m.op.ConvTranspose(x, *found, **conv.attributes)


@rule(op.Add(conv(), c), exactness="rounding", keeps_type=True)
def conv_add_to_conv(m: Match, conv: Node, x: Value, w: Value, b: Value | None, c: Value) -> Value | Declined:
    """Add(Conv(x, w, b), c)  ->  Conv(x, w, b + c)                             rounding

    c: one element, or (C, 1, ...): one per output channel. b is 0 when absent.
    """
    found = shifted(m, w, b, c, groups=None)
    return found if isinstance(found, Declined) else m.op.Conv(x, w, found, **conv.attributes)


@rule(op.Add(convtranspose(), c), exactness="rounding", keeps_type=True)
def convtranspose_add_to_convtranspose(
    m: Match, conv: Node, x: Value, w: Value, b: Value | None, c: Value, group: int
) -> Value | Declined:
    """Add(ConvTranspose(x, w, b), c)  ->  ConvTranspose(x, w, b + c)           rounding

    c: one element, or (C, 1, ...): one per output channel. b is 0 when absent.
    """
    found = shifted(m, w, b, c, groups=group)
    return found if isinstance(found, Declined) else m.op.ConvTranspose(x, w, found, **conv.attributes)


def scaled(m: Match, w: Value, b: Value | None, c: Value, groups: int | None) -> tuple[Value, Value | None] | Declined:
    """w * c and b * c."""
    weights = tensor_of(w)
    factor = per_channel(m, w, b, c, groups)
    if isinstance(factor, Declined):
        return factor
    if w.uses > 1 and weights.nbytes > MOST_COPIED:
        return m.no("{} is read elsewhere too, a copy would add {} bytes", w, weights.nbytes)
    if not np.isfinite(factor).all() or not ((factor != 0).all() or hides_zeros(m.root.output)):
        return m.no("{} is not finite everywhere, or 0", c)
    product = multiplied(weights, factor, groups)
    if not isinstance(product, Tensor):
        return m.no(product, weights.dtype)
    bias = None if b is None else rounded(m, w, b, elements(tensor_of(b)) * factor)
    return bias if isinstance(bias, Declined) else (m.constant(product, name=w.name), bias)


def hides_zeros(value: Value) -> bool:
    """Whether nobody sees the signs of zeros in a value: whoever reads it adds a constant in which none is negative.

    A sum times 0 has a zero with the sign of the sum, which a division shows; the sum of zeros that the new weights are has not.
    """
    return bool(value.users) and all(reader.op == "Add" and _adds_no_negative_zero(reader, value) for reader in value.users)


def _adds_no_negative_zero(node: Node, value: Value) -> bool:
    (other,) = [operand for operand in node.inputs if operand is not value] or [None]
    if other is None or other.const is None:
        return False
    added = elements(other.const)
    return not ((added == 0) & np.signbit(added)).any()


def shifted(m: Match, w: Value, b: Value | None, c: Value, groups: int | None) -> Value | Declined:
    """b + c."""
    term = per_channel(m, w, b, c, groups)
    return term if isinstance(term, Declined) else rounded(m, w, b, term if b is None else elements(tensor_of(b)) + term)


def per_channel(m: Match, w: Value, b: Value | None, c: Value, groups: int | None) -> Floats | Declined:
    """The elements of c, one per output channel; groups is None for a Conv, whose output channels are the rows of w."""
    weights, held = tensor_of(w), tensor_of(c)
    if not isinstance(groups, int | None):
        return m.no("the number of groups is for the function's caller to say")
    if any(tensor.dtype != weights.dtype for tensor in (held, *([] if b is None else [tensor_of(b)]))):
        return m.no("{} is {}, not all of the other constants are", w, weights.dtype)
    rank = len(weights.shape)
    channels = weights.shape[0] if groups is None else weights.shape[1] * groups
    if len(held.shape) > rank or (1,) * (rank - len(held.shape)) + held.shape not in (
        (1,) * rank,
        (1, channels, *[1] * (rank - 2)),
    ):
        return m.no("{} is {}, not one element per output channel of {}", c, c.type, w.type)
    return np.broadcast_to(elements(held).reshape(-1), (channels,))


def rounded(m: Match, w: Value, b: Value | None, bias: Floats) -> Value | Declined:
    """A bias in the type of the weights."""
    dtype = tensor_of(w).dtype
    with np.errstate(over="ignore"):
        stored = bias.astype(dtype.numpy)
    if not np.isfinite(stored.astype(np.float64)).all():
        return m.no("the new bias is not finite in {}", dtype)
    return m.constant(stored, dtype, name=f"{w.name}_bias" if b is None else b.name)
