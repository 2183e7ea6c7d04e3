"""Activations written out of simpler operators."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.activation import (
    clip_to_hardsigmoid,
    max_to_leakyrelu,
    mul_clip_to_hardsigmoid,
    mul_hardsigmoid_to_hardswish,
    mul_tanh_softplus_to_mish,
    scaled_clip_to_hardsigmoid,
    where_to_leakyrelu,
    where_to_thresholdedrelu,
)
from graphopt.pipeline.base import RulePass


class FuseActivation(RulePass):
    """Make one HardSigmoid, HardSwish, Mish, LeakyRelu or ThresholdedRelu of what exporters write out of them.

    Before:  t = Clip(Add(x, 3), 0, 6); y = Div(Mul(x, t), 6)
    After:   y = HardSwish(x)                                           below opset 14: y = Mul(x, HardSigmoid(x))
    Keeps:   float64; Max(x, Mul(x, a)) with a above 1; x times a comparison, which keeps a NaN where ThresholdedRelu has 0; models below
             the opset of the operator. Rounding: products and sums in another order, save for LeakyRelu and ThresholdedRelu, which are
             exact.
    """

    name: ClassVar[str] = "fuse-activation"
    rules: ClassVar[tuple[Rule, ...]] = (
        clip_to_hardsigmoid,
        scaled_clip_to_hardsigmoid,
        mul_clip_to_hardsigmoid,
        mul_hardsigmoid_to_hardswish,
        mul_tanh_softplus_to_mish,
        max_to_leakyrelu,
        where_to_leakyrelu,
        where_to_thresholdedrelu,
    )
