"""QONNX as standard ONNX."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.qonnx import bipolar_quant_to_dequantize, quant_to_arithmetic, quant_to_pair, trunc_to_arithmetic
from graphopt.pipeline.base import RulePass


class ImportQonnx(RulePass):
    """Write the operators of QONNX (Brevitas, FINN) with standard ones: as QuantizeLinear and DequantizeLinear where these do the same.

    Before:  y = Quant(x, s, 0, 4)
    After:   y = DequantizeLinear(Clip(QuantizeLinear(x, s, 0), -8, 7), s, 0)                   int8
    Before:  y = Quant(x, s, 3, 4)
    After:   y = Mul(Sub(Round(Clip(Add(Div(x, s), 3), -8, 7)), 3), s)                          also Floor and Ceil, and more bits
    Before:  y = BipolarQuant(x, s)
    After:   y = DequantizeLinear(Where(Less(x, 0), -1, 1), s, 0)                               int8
    Keeps:   other roundings, bits that are not constant, types other than float32; Trunc with an output scale; FloatQuant. Rounding:
             without a zero point -0 becomes 0; otherwise exact.
    """

    name: ClassVar[str] = "import-qonnx"
    rules: ClassVar[tuple[Rule, ...]] = (quant_to_pair, quant_to_arithmetic, bipolar_quant_to_dequantize, trunc_to_arithmetic)
