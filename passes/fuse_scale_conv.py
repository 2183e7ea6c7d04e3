"""Factors and terms per channel into the convolution after them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.convolution_input import scaled_conv_to_conv, shifted_conv_to_conv
from graphopt.pipeline.base import RulePass


class FuseScaleConv(RulePass):
    """Fold a factor or a term per input channel into the weights and bias of the Conv after it.

    Before:  t = Mul(x, k); y = Conv(t, w, b)                       k: (C, 1, 1)
    After:   y = Conv(x, w * k, b)
    Keeps:   operands that differ along other axes; terms before a Conv that pads; factors of a product, which may be an activation
             function's; weights that are not constant, or over 64 KiB and read elsewhere too; cases where the new weights overflow or lose
             precision. Rounding: the weights are computed in float64 and rounded once. A product that overflowed
             before it was weighted need not overflow any more.
    """

    name: ClassVar[str] = "fuse-scale-conv"
    rules: ClassVar[tuple[Rule, ...]] = (scaled_conv_to_conv, shifted_conv_to_conv)
