"""BatchNormalizations and factors after a convolution with quantized weights."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantized_convolution import quantized_conv_bn_to_conv, quantized_conv_mul_to_conv
from graphopt.pipeline.base import Level, RulePass


class FoldBnIntoDequantizeScale(RulePass):
    """Fold a BatchNormalization, or a factor per output channel, into the scales of the quantized weights before it, and into the bias.

    Before:  w' = DequantizeLinear<axis = 0>(w, s); t = Conv(x, w', b); y = BatchNormalization(t, scale, shift, mean, var)
    After:   w' = DequantizeLinear<axis = 0>(w, s * k); y = Conv(x, w', (b - mean) * k + shift)         k = scale / sqrt(var + epsilon)
    Keeps:   the stored integers, but where k is negative: there they are negated, and where that leaves their range nothing is folded;
             weights and convolutions that others read; factors of 0; biases that are not constant. Rounding: scales and bias are
             computed in float64 and rounded once.
    """

    name: ClassVar[str] = "fold-bn-into-dequantize-scale"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (quantized_conv_bn_to_conv, quantized_conv_mul_to_conv)
