"""BatchNormalization into the convolution before it."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.normalization import conv_bn_to_conv, convtranspose_bn_to_convtranspose
from graphopt.pipeline.base import RulePass


class FuseConvBn(RulePass):
    """Fold BatchNormalization into the weights and bias of the Conv or ConvTranspose before it.

    Before:  t = Conv(x, w, b); y = BatchNormalization(t, scale, shift, mean, var)
    After:   y = Conv(x, w * k, (b - mean) * k + shift)          k = scale / sqrt(var + epsilon)
    Keeps:   BatchNormalization in training; weights that are not constant, or quantized, or over 64 KiB and read elsewhere too (they
             would be stored twice); cases where the new weights overflow or lose precision. Rounding: the weights are computed in
             float64 and rounded once. A product that overflowed before it was scaled need not overflow any more.
    """

    name: ClassVar[str] = "fuse-conv-bn"
    rules: ClassVar[tuple[Rule, ...]] = (conv_bn_to_conv, convtranspose_bn_to_convtranspose)
