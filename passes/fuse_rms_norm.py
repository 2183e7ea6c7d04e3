"""RMS normalization."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.layer_normalization import (
    cast_rmsnormalization,
    div_sqrt_to_rmsnormalization,
    rmsnormalization_mul,
)
from graphopt.pipeline.base import RulePass


class FuseRmsNorm(RulePass):
    """Make one RMSNormalization of its written-out form, and take the scale and the casts of half-precision models into it.

    Before:  v = ReduceMean(Pow(x, 2)); n = Div(x, Sqrt(Add(v, epsilon))); y = Mul(n, scale)
    After:   y = RMSNormalization<epsilon>(x, scale)
    Keeps:   means along other axes than the last ones; normalized axes of unknown extent; a scale of another shape than theirs; float64,
             and float16 that is not cast to float before it is squared; models below opset 23. Rounding: the mean in another order.
    """

    name: ClassVar[str] = "fuse-rms-norm"
    rules: ClassVar[tuple[Rule, ...]] = (div_sqrt_to_rmsnormalization, cast_rmsnormalization, rmsnormalization_mul)
