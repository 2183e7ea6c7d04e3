"""Factors, terms and BatchNormalization into the Gemm before them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.gemm_operands import (
    gemm_add_constant,
    gemm_add_to_gemm,
    gemm_bn_to_gemm,
    gemm_mul_to_gemm,
    matmul_bn_to_gemm,
)
from graphopt.pipeline.base import RulePass


class FuseGemmScale(RulePass):
    """Fold into a Gemm what is added to its result, and into its weights a factor per column or a BatchNormalization.

    Before:  t = Gemm(x, w, b); y = BatchNormalization(t, scale, shift, mean, var)
    After:   y = Gemm(x, w * k, (b - mean) * k + shift)            k = scale / sqrt(var + epsilon)
    Keeps:   BatchNormalization in training, or of a product of stacks; for factors: weights that are not constant, or over 64 KiB and
             read elsewhere too; cases where the new weights overflow or lose precision. Rounding: the weights are computed in float64 and
             rounded once. A product that overflowed before it was scaled need not overflow any more.
    """

    name: ClassVar[str] = "fuse-gemm-scale"
    rules: ClassVar[tuple[Rule, ...]] = (gemm_bn_to_gemm, matmul_bn_to_gemm, gemm_mul_to_gemm, gemm_add_constant, gemm_add_to_gemm)
