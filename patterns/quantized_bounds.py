"""Bounds before a QuantizeLinear: Relu and Clip, which its own saturation may make superfluous, or which integers can have instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.match import FLOATING, Declined, Match, const, op, opt, rule, tensor
from graphopt.patterns.quantization_calls import called, quantize
from graphopt.quantization import Quantization, limits
from graphopt.quantization import quantize as quantized
from graphopt.quantization.arithmetic import entries, unsaturated
from graphopt.quantization.commutation import up
from graphopt.quantization.nodes import plain_quantization
from graphopt.quantization.parameters import INT8_TYPES

x = tensor("x", dtype=FLOATING)
relu = op.Relu(x).named("bound")
clip = op.Clip(x, opt(const("low")), opt(const("high"))).named("bound")


def examples(bound: str, zeros: dict[str, tuple[int, ...]], opsets: tuple[int, ...] = (13, 21)) -> Callable[[], list[str]]:
    """Models of one bound before a QuantizeLinear, for the whole tensor and along an axis, of float32 and float16."""

    def texts() -> list[str]:
        made = []
        for kind, held in zeros.items():
            for zero in held:
                for opset in opsets:
                    head = f'<ir_version: 8, opset_import: ["" : {opset}]> g'
                    constants = "float low = {-1.0}, float high = {0.5}, float wide = {1000.0}, float least = {-1000.0}"
                    made.append(
                        f"{head} (float[2,3] x) => ({kind}[2,3] y) <float s = {{0.25}}, {kind} z = {{{zero}}}, {constants}> "
                        f"{{ r = {bound} y = QuantizeLinear(r, s, z) }}"
                    )
                    made.append(
                        f"{head} (float[2,2,2] x) => ({kind}[2,2,2] y) <float[2] s = {{0.25, 0.4}}, {kind}[2] z = {{{zero}, {zero}}}, "
                        f"{constants}> {{ r = {bound} y = QuantizeLinear<axis = 1>(r, s, z) }}"
                    )
        return made

    return texts


@rule(quantize(relu), keeps_type=True, examples=examples("Relu(x)", {"uint8": (0, 128), "int8": (-128, 0)}))
def quantize_relu_to_quantize(m: Match, q: Node, x: Value) -> Value | Declined:
    """QuantizeLinear(Relu(x), s, z)  ->  QuantizeLinear(x, s, z)

    Each zero point is the least number of its type, so that what is below 0 saturates to it. s: positive, any granularity.
    """
    by = increasing(m, q)
    if isinstance(by, Declined):
        return by
    if (by.zero_point.astype(np.float64) != limits(by.dtype)[0]).any():
        return m.no("a zero point is not {}, the least number of {}", f"{limits(by.dtype)[0]:g}", by.dtype)
    if limits(by.dtype)[0] < 0 and (far := unsaturated(by, x.rank)):  # what lies far below wraps around at a negative zero point
        return m.no("{}", far)
    return called(m, q, x, by)


@rule(quantize(clip), keeps_type=True, examples=examples("Clip(x, least, wide)", {"uint8": (0, 128), "int8": (-128, 0)}))
def quantize_clip_to_quantize(m: Match, q: Node, x: Value, low: Value | None, high: Value | None) -> Value | Declined:
    """QuantizeLinear(Clip(x, low, high), s, z)  ->  QuantizeLinear(x, s, z)

    low and high are themselves quantized to the least and the greatest number of the type; they may lie half a step inside the range.
    """
    by = increasing(m, q)
    if isinstance(by, Declined):
        return by
    if far := unsaturated(by, x.rank):
        return m.no("{}", far)
    for bound, limit, what in ((low, limits(by.dtype)[0], "low"), (high, limits(by.dtype)[1], "high")):
        if (why := moves_inside(bound, x, by, limit)) is not None:
            return m.no("{} bound: {}", what, why)
    return called(m, q, x, by)


@rule(quantize(relu), keeps_type=True, examples=examples("Relu(x)", {"uint8": (3,), "int8": (0, -5)}))
def quantize_relu_to_max(m: Match, q: Node, bound: Node, x: Value) -> Value | Declined:
    """QuantizeLinear(Relu(x), s, z)  ->  Max(QuantizeLinear(x, s, z), z)

    z: along an axis, shaped to broadcast; int8 or uint8. s: positive.
    """
    by = increasing(m, q)
    if isinstance(by, Declined):
        return by
    if (by.zero_point.astype(np.float64) == limits(by.dtype)[0]).all():
        return m.no("saturation does what the Relu does")
    return moved(m, q, bound, x, by)


@rule(quantize(clip), keeps_type=True, examples=examples("Clip(x, low, high)", {"uint8": (0, 128), "int8": (-128, 0)}))
def quantize_clip_to_clip(m: Match, q: Node, bound: Node, x: Value, low: Value | None, high: Value | None) -> Value | Declined:
    """QuantizeLinear(Clip(x, low, high), s, z)  ->  Clip(QuantizeLinear(x, s, z), Q(low), Q(high))

    Q: the same quantization. Max and Min where Q(low) or Q(high) differ along an axis; int8 or uint8. s: positive.
    """
    by = increasing(m, q)
    if isinstance(by, Declined):
        return by
    least, most = limits(by.dtype)
    if moves_inside(low, x, by, least) is None and moves_inside(high, x, by, most) is None:
        return m.no("saturation does what the Clip does")
    for held, limit in ((low, least), (high, most)):
        if held is None and moves_inside(None, x, by, limit) is not None:
            return m.no("an absent bound stands for the greatest number of {}, which is not saturated", x.dtype)
    if low is not None and high is not None and not number(low) <= number(high):
        return m.no("{} is not below {}", low, high)
    return moved(m, q, bound, x, by)


def increasing(m: Match, q: Node) -> Quantization | Declined:
    """The parameters of a QuantizeLinear that keeps order."""
    by = plain_quantization(q)
    if isinstance(by, str):
        return m.no("{}", by)
    return by if by.is_increasing else m.no("a scale is negative, which turns the order round")


def moved(m: Match, q: Node, bound: Node, x: Value, by: Quantization) -> Value | Declined:
    """The bound on integers, of a QuantizeLinear of x."""
    if by.dtype not in INT8_TYPES or by.scale_dtype is DType.bfloat16:
        return m.no("no kernel is known for {} made of {}", by.dtype, by.scale_dtype)
    if why := unsaturated(by, x.rank):
        return m.no("{}", why)
    found = up(bound, [by])
    if isinstance(found, str):
        return m.no("{}", found)
    nodes = found.build({0: called(m, q, x, by)}, m.graph)
    m.made += nodes
    return nodes[-1].output


def moves_inside(bound: Value | None, x: Value, by: Quantization, limit: float) -> str | None:
    """Why a bound, once quantized, is not everywhere the limit of the type; an absent one is the limit of the type of x."""
    if x.dtype is None:
        return f"the type of {x!r} is not known"
    if bound is None:
        held = np.asarray(x.dtype.info.min if limit == limits(by.dtype)[0] else x.dtype.info.max, x.dtype.numpy)
    elif bound.const is None or bound.const.size != 1:
        return f"{bound!r} is not one constant"
    else:
        held = bound.const.numpy().reshape(())
    if np.isnan(held.astype(np.float64)):
        return f"{bound!r} is NaN"
    shape = (1,) * (x.rank or 0) if by.axis is not None else ()
    wide = np.broadcast_to(held, np.broadcast_shapes(entries(by.scale, by, shape).shape, shape)) if not by.block else None
    if wide is None:
        return "it is quantized in blocks"
    made = quantized(np.array(wide), by).astype(np.float64)
    return None if (made == limit).all() else f"it is quantized to {made.min():g} to {made.max():g}, not to {limit:g}"


def number(bound: Value) -> float:
    """A constant of one element."""
    held = bound.const
    return np.nan if held is None else float(held.numpy().astype(np.float64).reshape(-1)[0])
