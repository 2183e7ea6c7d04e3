"""Rounding to a grid, written out, as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.passes.rounding_parameters import fold_rounding_parameters
from graphopt.patterns.fake_quantization import fake_quantization_to_pair, symmetric_fake_quantization_to_pair
from graphopt.pipeline.base import Context, RulePass


class ImportFakeQuantization(RulePass):
    """Make QuantizeLinear and DequantizeLinear of the arithmetic that some exporters write for it, so that runtimes see what is quantized.

    Before:  y = Mul(Sub(Clip(Add(Round(Div(x, s)), z), 0, 255), z), s)                 s, z: one number, or (C, 1, 1)
    After:   y = DequantizeLinear(QuantizeLinear(x, s, z), s, z)                        z: uint8
    Keeps:   products instead of the division, and zero points that are added before Round (`import-inexact-fake-quantization`); bounds
             that no type of 8 or 16 bits holds; narrower ones of 16 bits, or below opset 12; float16. Rounding: without a zero point -0
             becomes 0, and a NaN, of which QuantizeLinear says nothing, becomes a number; otherwise exact.
    """

    name: ClassVar[str] = "import-fake-quantization"
    rules: ClassVar[tuple[Rule, ...]] = (fake_quantization_to_pair, symmetric_fake_quantization_to_pair)

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules, once scales and zero points that are cast or reshaped are constants."""
        return fold_rounding_parameters(graph, context) + super().run(graph, context)
