"""Group normalization."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.channel_normalization import (
    normalization_add,
    normalization_mul,
    reshaped_instancenormalization_to_groupnormalization,
)
from graphopt.pipeline.base import RulePass


class FuseGroupNorm(RulePass):
    """Make one GroupNormalization of what exporters write instead: an InstanceNormalization between two Reshapes, scale and bias.

    Before:  t = InstanceNormalization(Reshape(x, (0, G, -1)), 1, 0); y = Add(Mul(Reshape(t, Shape(x)), scale), bias)
    After:   y = GroupNormalization<G>(x, scale, bias)
    Keeps:   scale and bias that are not constant; 16-bit floats and float64; models below opset 21, where the operator means something
             else. onnxruntime has no kernel for it on the CPU and takes it apart again. Rounding.
    """

    name: ClassVar[str] = "fuse-group-norm"
    rules: ClassVar[tuple[Rule, ...]] = (
        reshaped_instancenormalization_to_groupnormalization,
        normalization_mul,
        normalization_add,
    )
