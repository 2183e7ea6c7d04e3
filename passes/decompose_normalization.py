"""Normalizations for runtimes that lack them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition_normalization import (
    group_normalization_to_parts,
    instance_normalization_to_parts,
    layer_normalization_to_parts,
    rms_normalization_to_parts,
)
from graphopt.pipeline.base import RulePass


class DecomposeNormalization(RulePass):
    """Write out LayerNormalization, RMSNormalization, InstanceNormalization and GroupNormalization.

    Before:  y = LayerNormalization(x, scale, bias)                                                     x: (N, S, 64)
    After:   d = Sub(x, ReduceMean(x, [2])); v = ReduceMean(Mul(d, d), [2])
             n = Div(d, Sqrt(Add(v, epsilon))); y = Add(Mul(n, scale), bias)
    Keeps:   all types but float32; sizes along which the mean is taken that are not known, 0, or 1 in all; a LayerNormalization whose mean
             or deviation is read. Rounding: the sums in another order.
    """

    name: ClassVar[str] = "decompose-normalization"
    rules: ClassVar[tuple[Rule, ...]] = (
        layer_normalization_to_parts,
        rms_normalization_to_parts,
        instance_normalization_to_parts,
        group_normalization_to_parts,
    )
