"""Terms after a DequantizeLinear."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_scale import dequantize_add_steps
from graphopt.pipeline.base import Level, RulePass


class FoldTermIntoZeroPoint(RulePass):
    """Move the zero point of a DequantizeLinear by the constant term after it, where that is a whole number of steps.

    Before:  t = DequantizeLinear(q, s, z); y = Add(t, c)                c = k * s, k: whole
    After:   y = DequantizeLinear(q, s, z - k)
    Keeps:   terms between two steps, or that differ where the scales do not; zero points that would leave their range; blocks;
             DequantizeLinear that others read; int32. Rounding: a product instead of a product and a sum.
    """

    name: ClassVar[str] = "fold-term-into-zero-point"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (dequantize_add_steps,)
