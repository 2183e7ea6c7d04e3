"""Relu on integers."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_bounds import quantize_relu_to_max
from graphopt.pipeline.base import Level, RulePass


class MoveReluAfterQuantize(RulePass):
    """Quantize before a Relu, so that the QuantizeLinear meets what makes the numbers.

    Before:  t = Relu(x); q = QuantizeLinear(t, s, z)
    After:   r = QuantizeLinear(x, s, z); q = Max(r, z)
    Keeps:   a Relu that others read; zero points that are the least number (absorb-relu-into-quantize drops the Relu there); types
             but int8 and uint8; opsets below 12; negative scales. For runtimes that fuse a QuantizeLinear into the convolution before it.
             Exact.
    """

    name: ClassVar[str] = "move-relu-after-quantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantize_relu_to_max,)
