"""Relu before a QuantizeLinear that saturates at 0."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_bounds import quantize_relu_to_quantize
from graphopt.pipeline.base import Level, RulePass


class AbsorbReluIntoQuantize(RulePass):
    """Drop a Relu before a QuantizeLinear whose zero point is the least number of its type: what is below 0 saturates to it.

    Before:  t = Relu(x); q = QuantizeLinear(t, s, z)                    z: -128 for int8, 0 for uint8, -8 for int4, ...
    After:   q = QuantizeLinear(x, s, z)
    Keeps:   a Relu that others read; zero points above the least number, even by one, in any entry; negative scales; float8, which
             goes below 0. For targets that fuse no Relu between a convolution and a QuantizeLinear. Exact.
    """

    name: ClassVar[str] = "absorb-relu-into-quantize"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantize_relu_to_quantize,)
