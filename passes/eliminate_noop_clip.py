"""Bounds that bound nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantization_clip import clip_of_whole_range
from graphopt.pipeline.base import RulePass


class EliminateNoopClip(RulePass):
    """Remove a Clip of integers to all numbers that their type has, as exporters write it after QuantizeLinear.

    Before:  q = QuantizeLinear(x, s, z); c = Clip(q, -128, 127); y = DequantizeLinear(c, s, z)             q: int8
    After:   q = QuantizeLinear(x, s, z); y = DequantizeLinear(q, s, z)
    Keeps:   narrower bounds; those of floats, which make finite numbers of infinities. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-clip"
    rules: ClassVar[tuple[Rule, ...]] = (clip_of_whole_range,)
