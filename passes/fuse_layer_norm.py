"""Layer normalization."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.layer_normalization import (
    cast_layernormalization,
    div_sqrt_to_layernormalization,
    layernormalization_add,
    layernormalization_mul,
    mul_add_to_layernormalization,
)
from graphopt.pipeline.base import RulePass


class FuseLayerNorm(RulePass):
    """Make one LayerNormalization of its written-out form, and take scale, bias and the casts of half-precision models into it.

    Before:  d = Sub(x, ReduceMean(x)); v = ReduceMean(Pow(d, 2)); n = Div(d, Sqrt(Add(v, epsilon))); y = Add(Mul(n, scale), bias)
    After:   y = LayerNormalization<epsilon>(x, scale, bias)
    Keeps:   means along other axes than the last ones; normalized axes of unknown extent; a scale or bias of another shape than theirs;
             float64, and float16 that is not cast to float before it is squared; models below opset 17. Rounding: the variance, and what
             is scaled by it, in another order, which loses more digits the further the mean lies from 0, as the steps do too.
    """

    name: ClassVar[str] = "fuse-layer-norm"
    rules: ClassVar[tuple[Rule, ...]] = (
        mul_add_to_layernormalization,
        div_sqrt_to_layernormalization,
        cast_layernormalization,
        layernormalization_mul,
        layernormalization_add,
    )
