"""Clip on integers."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_bounds import quantize_clip_to_clip
from graphopt.pipeline.base import Level, RulePass


class MoveClipAfterQuantize(RulePass):
    """Quantize before a Clip, so that the QuantizeLinear meets what makes the numbers.

    Before:  t = Clip(x, low, high); q = QuantizeLinear(t, s, z)
    After:   r = QuantizeLinear(x, s, z); q = Clip(r, Q(low), Q(high))   Q: the same quantization
    Keeps:   a Clip that others read; bounds that are not constant, NaN or crossed, and those that saturation covers both
             (absorb-clip-into-quantize drops the Clip there); types but int8 and uint8; opsets below 12; negative scales; blocks. Exact.
    """

    name: ClassVar[str] = "move-clip-after-quantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantize_clip_to_clip,)
