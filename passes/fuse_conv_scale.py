"""Factors and terms per channel into the convolution before them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.convolution import (
    conv_add_to_conv,
    conv_mul_to_conv,
    convtranspose_add_to_convtranspose,
    convtranspose_mul_to_convtranspose,
)
from graphopt.pipeline.base import RulePass


class FuseConvScale(RulePass):
    """Fold a factor or a term per output channel into the weights and bias of the Conv or ConvTranspose before it.

    Before:  t = Conv(x, w, b); u = Mul(t, k); y = Add(u, c)             k, c: (C, 1, 1)
    After:   y = Conv(x, w * k, b * k + c)
    Keeps:   operands that differ along other axes; weights that are not constant, or over 64 KiB and read elsewhere too; cases where the
             new weights overflow or lose precision. Rounding: the weights are computed in float64 and rounded once.
             A product that overflowed before it was scaled need not overflow any more.
    """

    name: ClassVar[str] = "fuse-conv-scale"
    rules: ClassVar[tuple[Rule, ...]] = (
        conv_mul_to_conv,
        convtranspose_mul_to_convtranspose,
        conv_add_to_conv,
        convtranspose_add_to_convtranspose,
    )
