"""A product and a sum per channel as BatchNormalization."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.channel_affine import mul_add_to_bn
from graphopt.pipeline.base import RulePass


class FuseBnFromMulAdd(RulePass):
    """Make a BatchNormalization of a factor and a term per channel, for runtimes that have it as one kernel.

    Before:  u = Mul(x, k); y = Add(u, b)                               x: (N, C, H, W)  k, b: (C, 1, 1)
    After:   y = BatchNormalization<epsilon = 0.0>(x, k, b, 0, 1)
    Keeps:   factors and terms that are not constant, not finite, or not one per channel of a known number; products that others read.
             Rounding: a runtime may multiply and add in one step.
    """

    name: ClassVar[str] = "fuse-bn-from-mul-add"
    rules: ClassVar[tuple[Rule, ...]] = (mul_add_to_bn,)
