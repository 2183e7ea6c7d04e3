"""Padding as a node of its own, for runtimes whose convolutions do not pad."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition_indexing import conv_padding_to_pad
from graphopt.pipeline.base import RulePass


class ConvertConvPaddingToPad(RulePass):
    """Pad before a convolution instead of in it.

    Before:  y = Conv<pads = [1, 1, 1, 1]>(x, w)
    After:   p = Pad(x, [0, 0, 1, 1, 0, 0, 1, 1]); y = Conv(p, w)
    Keeps:   convolutions that find out their padding by themselves (auto_pad). Exact.
    """

    name: ClassVar[str] = "convert-conv-padding-to-pad"
    rules: ClassVar[tuple[Rule, ...]] = (conv_padding_to_pad,)
