"""Quantized numbers that need fewer bits than they take."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantization_clip import clipped_pair_to_narrow_pair, dequantized_constant_to_narrow_constant
from graphopt.pipeline.base import RulePass


class NarrowQuantization(RulePass):
    """Say in the element type that quantized numbers have 4 or 2 bits, instead of bounding integers of 8: for size.

    Before:  c = Clip(QuantizeLinear(x, s, z), -8, 7); y = DequantizeLinear(c, s, z)            z: int8
    After:   y = DequantizeLinear(QuantizeLinear(x, s, t), s, t)                                t: int4
    Before:  y = DequantizeLinear(w, s, z)                                                      w: int8, constant, from -8 to 7
    After:   y = DequantizeLinear(w, s, t)                                                      w, t: int4
    Keeps:   opsets below 21, and 25 for 2 bits; zero points that need more; constants that are read twice. onnxruntime computes with
             integers of 8 bits, and fuses these with few operators. Exact.
    """

    name: ClassVar[str] = "narrow-quantization"
    rules: ClassVar[tuple[Rule, ...]] = (clipped_pair_to_narrow_pair, dequantized_constant_to_narrow_constant)
