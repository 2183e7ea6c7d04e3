"""TensorRT's own float8 operators, as TransformerEngine and ModelOpt write them, as standard ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import DType, Tensor, Value
from graphopt.match import Declined, Match, const, domain, rule, tensor

FLOAT8: Final = DType.float8e4m3fn
SINCE: Final = 19  # the opset that brought float8

trt = domain("trt")
x, s, t = tensor("x"), const("s"), const("t")


def examples(body: str) -> Callable[[], list[str]]:
    """Models of x: (2, 3)."""
    held = "float s = {0.1}, float[1] t = {0.5}, uint8[2,3] w = {0, 1, 56, 126, 128, 254}"
    return lambda: [
        f'<ir_version: 9, opset_import: ["" : {opset}, "trt" : 1]> g (float[2,3] x) => (float[2,3] y) <{held}> {{ {body} }}'
        for opset in (SINCE, 21)
    ]


@rule(
    trt.TRT_FP8DequantizeLinear(trt.TRT_FP8QuantizeLinear(x, s), t),
    keeps_type=True,
    examples=examples("q = trt.TRT_FP8QuantizeLinear(x, s) y = trt.TRT_FP8DequantizeLinear(q, s)"),
)
def tensorrt_float8_to_pair(m: Match, x: Value, s: Value, t: Value) -> Value | Declined:
    """TRT_FP8DequantizeLinear(TRT_FP8QuantizeLinear(x, s), t)  ->  DequantizeLinear(QuantizeLinear(x, s, 0), t, 0)

    s, t: one number each, of x's type; 0 of float8e4m3fn.
    """
    if (why := unusable(m, x, s) or unusable(m, x, t)) is not None:
        return why
    quantized = m.op.QuantizeLinear(x, scalar(m, s), zero(m))
    return m.op.DequantizeLinear(quantized, scalar(m, t), zero(m))


@rule(
    trt.TRT_FP8DequantizeLinear(const("w", dtype={DType.uint8, FLOAT8}), s),
    keeps_type=True,
    examples=examples("d = trt.TRT_FP8DequantizeLinear(w, s) y = Add(x, d)"),
)
def tensorrt_float8_weights_to_dequantize(m: Match, w: Value, s: Value) -> Value | Declined:
    """TRT_FP8DequantizeLinear(w, s)  ->  DequantizeLinear(w, s, 0)            w: constant, float8e4m3fn or its bits as uint8"""
    if (why := unusable(m, s, s)) is not None:
        return why
    if w.const is None:
        return m.no("{} is not constant", w)
    stored = w if w.dtype is FLOAT8 else m.constant(Tensor(FLOAT8, w.const.shape, w.const.storage), name=w.name)
    return m.op.DequantizeLinear(stored, scalar(m, s), zero(m))


def unusable(m: Match, x: Value, scale: Value) -> Declined | None:
    """Why a scale is none that the standard operators take; None when it is."""
    held = scale.const
    if (m.opset() or 0) < SINCE:
        return m.no("float8 exists since opset {0} only; optimize with --opset {0}", SINCE)
    if held is None or held.size != 1 or held.dtype not in (DType.float32, DType.float16) or x.dtype is not held.dtype:
        return m.no("{} is not one number of the type of {}", scale, x)
    number = float(held.numpy().reshape(-1)[0])
    return None if np.isfinite(number) and number > 0 else m.no("{} is not a positive number", scale)


def scalar(m: Match, scale: Value) -> Value:
    """A scale without axes."""
    held = scale.const
    return scale if held is None or not held.shape else m.constant(held.numpy().reshape(()), held.dtype, name=scale.name)


def zero(m: Match) -> Value:
    """The zero point, which says that it is float8."""
    return m.constant(np.zeros((), FLOAT8.numpy), FLOAT8, name="zero_point")
