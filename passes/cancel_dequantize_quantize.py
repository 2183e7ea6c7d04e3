"""DequantizeLinear and QuantizeLinear that undo each other."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.requantization import quantize_dequantize_to_value
from graphopt.pipeline.base import RulePass


class CancelDequantizeQuantize(RulePass):
    """Read the integers where they are dequantized and then quantized with the same parameters.

    Before:  t = DequantizeLinear(q, s, z); y = QuantizeLinear(t, s, z)
    After:   y = q
    Keeps:   other parameters; scales of 16 bits with integers that do not come back from them (float16 and more than 8 bits, bfloat16 and
             more than 4, products that overflow); a DequantizeLinear that others read. Exact.
    """

    name: ClassVar[str] = "cancel-dequantize-quantize"
    rules: ClassVar[tuple[Rule, ...]] = (quantize_dequantize_to_value,)
