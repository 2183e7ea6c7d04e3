"""Biases of zero."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.zero import conv_without_bias, gemm_without_bias
from graphopt.pipeline.base import RulePass


class EliminateZeroBias(RulePass):
    """Leave out the bias of Conv, ConvTranspose and Gemm when it is 0.

    Before:  y = Conv(x, w, b)                          b: zeros
    After:   y = Conv(x, w)
    Keeps:   the bias of Gemm before opset 11, which must be there. Rounding: of -0 either zero may come out.
    """

    name: ClassVar[str] = "eliminate-zero-bias"
    rules: ClassVar[tuple[Rule, ...]] = (conv_without_bias, gemm_without_bias)
