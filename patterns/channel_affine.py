"""One factor and one term per channel: a BatchNormalization in inference, and a Mul and an Add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import Tensor, Value
from graphopt.match import FLOATING, Declined, Match, const, op, rule, tensor
from graphopt.patterns.normalization import elements, factor_and_term, normalized, tensor_of
from graphopt.patterns.weight_products import is_precise

x, k, b = tensor("x", dtype=FLOATING), const("k", dtype=FLOATING), const("b", dtype=FLOATING)
HELD: Final = "float[3] k = {2, -0.5, 3}, float[3] b = {1, 0, -2}, float[3] v = {1, 0.25, 4}"


def examples(*bodies: str) -> Callable[[], list[str]]:
    """Models with three channels; below opset 14 other attributes tell training from inference."""
    return lambda: [
        f"""<ir_version: 8, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float[{shape}] y)
        <{HELD}, float[{own}] s = {{2, -0.5, 3}}, float[{own}] t = {{1, 0, -2}}> {{ {body} }}"""
        for opset in (9, 13, 17)
        for shape, own in (("N,3,H,W", "3,1,1"), ("2,3,L", "1,3,1"))
        for body in bodies
    ]  # fmt: skip


@rule(normalized(x), exactness="rounding", keeps_type=True, examples=examples("y = BatchNormalization(x, k, b, b, v)"))
def bn_to_mul_add(m: Match, x: Value, epsilon: float) -> Value | Declined:
    """BatchNormalization(x, scale, shift, mean, var)  ->  Add(Mul(x, k), shift - mean * k)          rounding       x: (N, C, ...)

    k = scale / sqrt(var + epsilon)      (C, 1, ...)    one factor per channel
    """
    parameters = [tensor_of(m.bindings[name]) for name in ("scale", "shift", "mean", "var")]
    if len(m.root.outputs) > 1:  # below opset 14 this is how training is spelled
        return m.no("the BatchNormalization has {} outputs: it trains", len(m.root.outputs))
    if x.rank is None or x.rank < 2 or x.dtype is None or any(held.dtype != x.dtype for held in parameters):
        return m.no("the rank of {} is unknown, or it is {} and not all of the constants are", x, x.dtype)
    scale, shift, mean, var = map(elements, parameters)
    factor, term = factor_and_term(scale, shift, mean, var, 0.0, epsilon)
    with np.errstate(over="ignore"):
        by, more = (array.astype(x.dtype.numpy) for array in (factor, term))
    if not np.isfinite(by.astype(np.float64)).all() or not np.isfinite(more.astype(np.float64)).all():
        return m.no("var + epsilon is not positive everywhere, or a factor or term is not finite in {}", x.dtype)
    if not is_precise(by, factor, np.ones(1)):
        return m.no("a factor is too small for {}", x.dtype)
    shape = (len(factor), *[1] * (x.rank - 2))
    product = m.op.Mul(x, m.constant(Tensor.of(by.reshape(shape), x.dtype), name=m.bindings["scale"].name))
    return m.op.Add(product, m.constant(Tensor.of(more.reshape(shape), x.dtype), name=m.bindings["shift"].name))


@rule(op.Add(op.Mul(x, k), b), exactness="rounding", keeps_type=True, examples=examples("u = Mul(x, s) y = Add(u, t)"))
def mul_add_to_bn(m: Match, x: Value, k: Value, b: Value) -> Value | Declined:
    """Add(Mul(x, k), b)  ->  BatchNormalization<epsilon = 0>(x, k, b, 0, 1)                          rounding       x: (N, C, ...)

    k, b: (C, 1, ...): one element per channel.
    """
    scale, shift, channels = tensor_of(k), tensor_of(b), x.shape[1] if x.shape is not None and len(x.shape) > 2 else None
    if not isinstance(channels, int) or x.shape is None or channels < 1:
        return m.no("{} is {}: no known number of channels before other axes", x, x.type)
    wanted = (channels, *[1] * (len(x.shape) - 2))
    if any(held.dtype != x.dtype or held.shape not in (wanted, (1, *wanted)) for held in (scale, shift)):
        return m.no("{} is {} and {} {}, not one element per channel of {}", k, k.type, b, b.type, x.type)
    factor = scale.numpy().reshape(channels)
    if not np.isfinite(factor.astype(np.float64)).all():  # times the mean, which is 0, it would be NaN
        return m.no("{} is not finite everywhere", k)
    vectors = factor, shift.numpy().reshape(channels), np.zeros_like(factor), np.ones_like(factor)
    names = k.name, b.name, "mean", "var"
    held = [m.constant(Tensor.of(vector, x.dtype), name=name) for vector, name in zip(vectors, names, strict=True)]
    return m.op.BatchNormalization(x, *held, epsilon=0.0)
