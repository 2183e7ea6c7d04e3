"""Factors and terms per channel before a convolution, which its weights can hold: how exporters normalize images."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Node, Tensor, Value
from graphopt.ir.tensor import Array
from graphopt.match import FLOATING, Declined, Match, any_of, attr, const, op, opt, rule, tensor
from graphopt.patterns.convolution import per_channel, rounded
from graphopt.patterns.normalization import MOST_COPIED, elements, tensor_of
from graphopt.patterns.weight_products import Floats, multiplied


def has_elements(array: Array) -> bool:
    """Whether there are any: with 16-bit floats and no channels, onnxruntime's Conv does not come to an end."""
    return array.size > 0


x, w, b, c = tensor("x"), const("w", dtype=FLOATING, where=has_elements), opt(tensor("b")), const("c", where=has_elements)


scaled = any_of(op.Mul(x, c).named("scale"), op.Div(x, c).named("scale"))


@rule(op.Conv(scaled, w, b, group=attr("group")).named("conv"), exactness="rounding", keeps_type=True)
def scaled_conv_to_conv(m: Match, conv: Node, scale: Node, x: Value, w: Value, b: Value | None, c: Value, group: int) -> Value | Declined:
    """Conv(Mul(x, c), w, b)  ->  Conv(x, w * c, b)                             rounding;  Conv(Div(x, c), w, b)  ->  Conv(x, w / c, b)

    c: one element, or (I, 1, ...): one per input channel. x is not itself a product: its last factor may belong to an activation function.
    """
    if x.producer is not None and x.producer.op == "Mul":
        return m.no("{} is a product: {} may be the last factor of an activation function", x, c)
    factor = per_input(m, x, w, None, c, group)
    if isinstance(factor, Declined):
        return factor
    if w.uses > 1 and tensor_of(w).nbytes > MOST_COPIED:
        return m.no("{} is read elsewhere too", w)
    with np.errstate(divide="ignore"):
        factor = 1 / factor if scale.op == "Div" else factor
    if not np.isfinite(factor).all():
        return m.no("{} is not finite everywhere, or 0", c)
    weights = multiplied(tensor_of(w), factor, group)
    if not isinstance(weights, Tensor):
        return m.no(weights, tensor_of(w).dtype)
    return m.op.Conv(x, m.constant(weights, name=w.name), b, **conv.attributes)


shifted = any_of(op.Add(x, c).named("shift"), op.Sub(x, c).named("shift"))
how = {"auto_pad": attr("auto_pad"), "group": attr("group"), "pads": attr("pads")}
unpadded = op.Conv(shifted, w, opt(const("b", shape=("O",))), **how).named("conv")


@rule(unpadded, exactness="rounding", keeps_type=True)
def shifted_conv_to_conv(
    m: Match,
    conv: Node,
    shift: Node,
    x: Value,
    w: Value,
    b: Value | None,
    c: Value,
    group: int,
    pads: tuple[int, ...] | None,
    auto_pad: str,
) -> Value | Declined:
    """Conv(Add(x, c), w, b)  ->  Conv(x, w, b + sum of w * c)                  rounding;  Conv(Sub(x, c), w, b) likewise

    c: one element, or (I, 1, ...): one per input channel. Without pads: what is padded with is 0, and not c.
    """
    if auto_pad not in ("NOTSET", "VALID") or any(pads or ()):
        return m.no("the Conv pads {} with 0, which c is not added to", x)
    term = per_input(m, x, w, b, c, group)
    if isinstance(term, Declined):
        return term
    weights = elements(tensor_of(w))
    bias = np.zeros(1) if b is None else elements(tensor_of(b))
    total = bias + summed(weights, -term if shift.op == "Sub" else term, group)
    found = rounded(m, w, b, total)
    return found if isinstance(found, Declined) else m.op.Conv(x, w, found, **conv.attributes)


def per_input(m: Match, x: Value, w: Value, b: Value | None, c: Value, group: int) -> Floats | Declined:
    """The elements of c, one per input channel, if c does not enlarge x."""
    weights = tensor_of(w)
    if x.const is not None or x.shape is None or len(x.shape) != len(weights.shape) or x.shape[1] != weights.shape[1] * group:
        return m.no("{} is not known to have the input channels of {}, or is constant", x, w)
    return per_channel(m, w, b, c, group)


def summed(weights: Floats, term: Floats, group: int) -> Floats:
    """What a convolution makes of a term per input channel: one element per output channel."""
    rows, columns = weights.shape[:2]
    of_row = term.reshape(group, columns).repeat(rows // group, axis=0)
    sums: Floats = (weights.sum(tuple(range(2, weights.ndim))) * of_row).sum(-1)
    return sums
