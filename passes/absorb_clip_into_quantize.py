"""Clip before a QuantizeLinear that saturates no later."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_bounds import quantize_clip_to_quantize
from graphopt.pipeline.base import Level, RulePass


class AbsorbClipIntoQuantize(RulePass):
    """Drop a Clip before a QuantizeLinear where both bounds are quantized to the limits of the type.

    Before:  t = Clip(x, low, high); q = QuantizeLinear(t, s, z)         Q(low), Q(high): the least and the greatest number
    After:   q = QuantizeLinear(x, s, z)
    Keeps:   a Clip that others read; bounds that are not constant, NaN, or quantized to less than the whole range in any entry; blocks.
             Bounds up to half a step inside the range count as outside. Exact.
    """

    name: ClassVar[str] = "absorb-clip-into-quantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantize_clip_to_quantize,)
