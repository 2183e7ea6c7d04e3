"""A QuantizeLinear of what was dequantized just before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, rule, tensor
from graphopt.patterns.quantization_calls import called, dequantize, quantize
from graphopt.quantization import Quantization, limits
from graphopt.quantization.arithmetic import loses, unsaturated
from graphopt.quantization.commutation import are_equal
from graphopt.quantization.nodes import plain_quantization

x = tensor("x")


def examples(body: str, given: str, made: str) -> Callable[[], list[str]]:
    """Models of these nodes, for the whole tensor and along an axis, equal parameters and others."""

    def texts() -> list[str]:
        scales, zeros = "float s = {0.1}, float[3] sc = {0.1, 0.2, 0.5}", "uint8 z = {7}, uint8 y0 = {35}"
        held = f"{scales}, {zeros}, uint8[3] zc = {{7, 0, 255}}, uint8[3] yc = {{9, 2, 250}}"
        texts = []
        for s, z, other in (("s", "z", "z"), ("s", "z", "y0"), ("sc", "zc", "zc"), ("sc", "zc", "yc")):
            for opset in (13, 21):
                nodes = body.format(s=s, z=z, other=other)
                head = f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>'
                texts.append(f"{head} g ({given}[2,3,2] x) => ({made}[2,3,2] y) <{held}> {{ {nodes} }}")
        return texts

    return texts


@rule(
    quantize(dequantize(x, is_kept=True)),
    keeps_type=True,
    examples=examples("t = DequantizeLinear(x, {s}, {z}) y = QuantizeLinear(t, {s}, {other})", "uint8", "uint8"),
)
def quantize_dequantize_to_value(m: Match, q: Node, dq: Node, x: Value) -> Value | Declined:
    """QuantizeLinear(DequantizeLinear(x, s, z), s, z)  ->  x

    (x - z) * s, rounded to the type of s, leads back to x: s is float32 and x has up to 16 bits, float16 and 8, or bfloat16 and 4.
    """
    before, after = plain_quantization(dq), plain_quantization(q)
    for by in (before, after):
        if isinstance(by, str):
            return m.no("{}", by)
    assert isinstance(before, Quantization) and isinstance(after, Quantization)  # just asked
    if x.dtype is not after.dtype or not are_equal(before, after):
        return m.no("the parameters of {} and {} differ", dq, q)
    return m.no("{}", why) if (why := loses(before)) else x


chain = quantize(dequantize(quantize(x, name="first")))


@rule(
    chain,
    keeps_type=True,
    examples=examples(
        "q = QuantizeLinear(x, {s}, {z}) t = DequantizeLinear(q, {s}, {z}) y = QuantizeLinear(t, {s}, {other})", "float", "uint8"
    ),
)
def quantization_chain_to_clip(m: Match, first: Node, dq: Node, q: Node, x: Value) -> Value | Declined:
    """QuantizeLinear(DequantizeLinear(QuantizeLinear(x, s, z), s, z), s, z')  ->  QuantizeLinear(Clip(x, low, high), s, z')

    low  = (least - z) * s               of the first type, where the second reaches further
    high = (most - z) * s
    """
    before, between, after = (plain_quantization(node) for node in (first, dq, q))
    if isinstance(before, str) or isinstance(between, str) or isinstance(after, str):
        return m.no("{}", next(why for why in (before, between, after) if isinstance(why, str)))
    if not are_equal(before, between):
        return m.no("the parameters of {} and {} differ", first, dq)
    if are_equal(before, after):
        return m.no("{} and {} cancel out", dq, q)
    if not (before.dtype.is_integer and after.dtype.is_integer and before.is_increasing) or not have_equal_scales(before, after):
        return m.no("the scales of {} and {} differ", first, q)
    if why := loses(before) or loses(after) or unsaturated(before, x.rank) or unsaturated(after, x.rank):
        return m.no("{}", why)
    bounds = bounds_inside(before, after)
    if isinstance(bounds, str):
        return m.no("{}", bounds)
    low, high = (None if bound is None else m.constant(np.asarray(bound, before.scale.dtype)) for bound in bounds)
    return called(m, q, x if low is None and high is None else m.op.Clip(x, low, high), after)


def have_equal_scales(one: Quantization, other: Quantization) -> bool:
    """Whether two have the same scales in the same places."""
    same = (one.axis, one.block, one.scale.shape, one.scale.dtype) == (other.axis, other.block, other.scale.shape, other.scale.dtype)
    return same and one.scale.tobytes() == other.scale.tobytes()


def bounds_inside(before: Quantization, after: Quantization) -> tuple[float | None, float | None] | str:
    """Which bounds of one are inside the range of the other, as floats; why they cannot be said in one Clip."""
    first, second = ([limit - part.zero_point.astype(np.float64) for limit in limits(part.dtype)] for part in (before, after))
    if (first[0] > second[1]).any() or (first[1] < second[0]).any():
        return "the ranges do not meet"
    bounds: list[float | None] = []
    for end, is_inside in ((0, first[0] > second[0]), (1, first[1] < second[1])):
        if not is_inside.any():
            bounds.append(None)
            continue
        values = np.unique((first[end].astype(np.float32) * before.scale.astype(np.float32)).astype(before.scale.dtype))
        if len(values) > 1:
            return "the bounds differ along the axis"
        bounds.append(float(values[0]))
    return bounds[0], bounds[1]
