"""Padding into the operator after it."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.padding import (
    pad_averagepool_to_averagepool,
    pad_conv_to_conv,
    pad_convinteger_to_convinteger,
    pad_maxpool_to_maxpool,
)
from graphopt.pipeline.base import RulePass


class FusePad(RulePass):
    """Let a Conv, ConvInteger, AveragePool or MaxPool pad what a Pad before it pads.

    Before:  t = Pad(x, [0, 0, 1, 1, 0, 0, 1, 1]); y = Conv(t, w, b)
    After:   y = Conv<pads = [1, 1, 1, 1]>(x, w, b)
    Keeps:   padding with something else than the operator itself pads with: 0, the zero point, for MaxPool the least integer
             (`fuse-pad-max-pool` takes -Inf); negative pads, and pads along the first two axes; pools that pad already and do not count
             it, that round sizes up, or with windows that have gaps or may lie in the padding. Rounding.
    """

    name: ClassVar[str] = "fuse-pad"
    rules: ClassVar[tuple[Rule, ...]] = (
        pad_conv_to_conv,
        pad_convinteger_to_convinteger,
        pad_averagepool_to_averagepool,
        pad_maxpool_to_maxpool,
    )
