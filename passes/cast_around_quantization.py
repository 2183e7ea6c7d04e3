"""Casts that stand around QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantization_cast import cast_quantize_to_quantize, dequantize_cast_to_dequantize
from graphopt.pipeline.base import RulePass


class CastAroundQuantization(RulePass):
    """Quantize float16 as it is, and dequantize to it, where an exporter goes by way of float32.

    Before:  q = QuantizeLinear(Cast(x), s, z); y = Cast(DequantizeLinear(q, s, z))             x, y: float16; s: float32
    After:   q = QuantizeLinear(x, s, z); y = DequantizeLinear(q, s, z)                         s: float16, the same numbers
    Keeps:   opsets below 19; scales that float16 does not have, unless a DequantizeLinear of opset 23 can say its `output_dtype`; bfloat16;
             casts that others read. Rounding: once instead of twice, and as precisely as the runtime divides.
    """

    name: ClassVar[str] = "cast-around-quantization"
    rules: ClassVar[tuple[Rule, ...]] = (cast_quantize_to_quantize, dequantize_cast_to_dequantize)
