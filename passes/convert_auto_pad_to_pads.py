"""Padding as numbers, where an operator finds it out by itself."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.auto_pad import same_conv_to_pads, same_convtranspose_to_pads, same_pool_to_pads, valid_to_no_pads
from graphopt.pipeline.base import RulePass


class ConvertAutoPadToPads(RulePass):
    """Write down how much a convolution or pooling pads, where it says SAME_UPPER, SAME_LOWER, VALID or the output's shape.

    Before:  y = Conv<auto_pad = "SAME_UPPER", strides = [2, 2]>(x, w)                 x: (N, C, 224, 224)  w: (M, C, 3, 3)
    After:   y = Conv<pads = [0, 0, 1, 1], strides = [2, 2]>(x, w)
    Keeps:   amounts that depend on a size that is not known, though with strides of 1 none do; windows so much smaller than
             the stride that the last ends early; pools with SAME whose windows have gaps, and with VALID that round sizes up, of which
             runtimes make one thing or another; ConvTranspose with SAME or output_shape below opset 11. Exact.
    """

    name: ClassVar[str] = "convert-auto-pad-to-pads"
    rules: ClassVar[tuple[Rule, ...]] = (valid_to_no_pads, same_conv_to_pads, same_pool_to_pads, same_convtranspose_to_pads)
