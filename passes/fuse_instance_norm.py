"""Instance normalization."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.channel_normalization import (
    div_sqrt_to_instancenormalization,
    normalization_add,
    normalization_mul,
)
from graphopt.pipeline.base import RulePass


class FuseInstanceNorm(RulePass):
    """Make one InstanceNormalization of its written-out form, and take scale and bias per channel into it; into a GroupNormalization too.

    Before:  d = Sub(x, ReduceMean(x)); v = ReduceMean(Pow(d, 2)); n = Div(d, Sqrt(Add(v, epsilon))); y = Add(Mul(n, scale), bias)
    After:   y = InstanceNormalization<epsilon>(x, scale, bias)         x: (N, C, H, W, ...); scale, bias: (C, 1, 1, ...) before
    Keeps:   means along other axes than all from the third on; x of three axes, which layer normalization is for; scale and bias that are
             not constant or differ along other axes; 16-bit floats and float64. Rounding: the variance in another order,
             which loses more digits the further the mean lies from 0, as the steps do too.
    """

    name: ClassVar[str] = "fuse-instance-norm"
    rules: ClassVar[tuple[Rule, ...]] = (div_sqrt_to_instancenormalization, normalization_mul, normalization_add)
