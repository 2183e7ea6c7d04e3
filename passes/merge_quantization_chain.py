"""Values that are quantized twice."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.requantization import quantization_chain_to_clip, quantize_dequantize_to_value
from graphopt.pipeline.base import RulePass


class MergeQuantizationChain(RulePass):
    """Quantize once where a value is quantized, dequantized and quantized again with the same scale.

    Before:  a = QuantizeLinear(x, s, z); t = DequantizeLinear(a, s, z); y = QuantizeLinear(t, s, z')
    After:   y = QuantizeLinear(Clip(x, low, high), s, z')
    Keeps:   other scales; ranges that do not meet, or that differ from channel to channel; integers in between that others read. Equal zero
             points need no Clip, and neither do bounds that the second range has as well. Exact.
    """

    name: ClassVar[str] = "merge-quantization-chain"
    rules: ClassVar[tuple[Rule, ...]] = (quantize_dequantize_to_value, quantization_chain_to_clip)
