"""Casts between half precision and the float32 in which some exporters quantize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.match import Declined, Match, op, opt, rule, tensor
from graphopt.quantization import quantization_of
from graphopt.schema.spelling import neutral_attributes

HALF: Final = DType.float16  # of bfloat16 onnxruntime has no kernels
SINCE: Final = 19  # the opset since which float16 is quantized as it is
MIXED: Final = 23  # and since which integers become another type than the scale has

s, z = tensor("s", dtype=DType.float32), opt(tensor("z"))


def examples(body: str, result: str) -> Callable[[], list[str]]:
    """Models of h: float16, and q: uint8, (2, 3) both, with a scale that float16 holds and one that it does not."""
    return lambda: [
        f'<ir_version: 10, opset_import: ["" : {opset}]> g (float16[2,3] h, uint8[2,3] q) => ({result}[2,3] y)'
        f" <float s = {{{scale}}}, uint8 z = {{7}}> {{ {body} }}"
        for opset in (SINCE, MIXED)
        for scale in (0.125, 0.1)
    ]


@rule(
    op.QuantizeLinear(op.Cast(tensor("x", dtype=HALF), to=int(DType.float32), saturate=1), s, z).named("node"),
    since=SINCE,
    keeps_type=True,
    exactness="rounding",
    examples=examples("x = Cast<to = 1>(h) y = QuantizeLinear(x, s, z)", "uint8"),
)
def cast_quantize_to_quantize(m: Match, node: Node, x: Value, s: Value, z: Value | None) -> Value | Declined:
    """QuantizeLinear(Cast(x), s, z)  ->  QuantizeLinear(x, s, z)              rounding: runtimes that divide in float16

    x: float16, s: float32, but numbers that float16 has: onnxruntime fails on scales of another type than x.
    """
    if isinstance(by := quantization_of(node), str):
        return m.no(by)
    attributes = neutral_attributes(node)
    if attributes.pop("precision", 0) not in (0, DType.float32):
        return m.no("it does not divide in float32")
    scale = halved(m, s)
    return m.no("{} is no number of float16", s) if scale is None else m.op.QuantizeLinear(x, scale, z, **attributes)


@rule(
    op.Cast(op.DequantizeLinear(tensor("x"), s, z).named("node"), to=int(HALF), saturate=1),
    since=SINCE,
    keeps_type=True,
    exactness="rounding",
    examples=examples("x = DequantizeLinear(q, s, z) y = Cast<to = 10>(x)", "float16"),
)
def dequantize_cast_to_dequantize(m: Match, node: Node, x: Value, s: Value, z: Value | None) -> Value | Declined:
    """Cast(DequantizeLinear(x, s, z))  ->  DequantizeLinear(x, s, z)          rounding: once instead of twice

    To float16: by `output_dtype`, and before opset 23 by s, whose numbers float16 has to have then.
    """
    if isinstance(by := quantization_of(node), str):
        return m.no(by)
    attributes = neutral_attributes(node)
    if attributes.get("output_dtype") not in (None, 0, DType.float32):
        return m.no("it makes no float32")
    if (m.opset() or 0) >= MIXED:
        return m.op.DequantizeLinear(x, s, z, **attributes | {"output_dtype": int(HALF)})
    scale = halved(m, s)
    return m.no("{} is no number of float16", s) if scale is None else m.op.DequantizeLinear(x, scale, z, **attributes)


def halved(m: Match, s: Value) -> Value | None:
    """The same scales in float16; None where it does not have them."""
    if s.const is None:
        return None
    held = s.const.numpy()
    with np.errstate(over="ignore"):
        same = held.astype(HALF.numpy)
    return m.constant(same, HALF, name=s.name) if np.array_equal(same.astype(np.float32), held) else None
