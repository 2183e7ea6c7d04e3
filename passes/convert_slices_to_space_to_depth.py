"""Every so manieth pixel, side by side: the focus layer of YOLOv5."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.depth import slices_to_space_to_depth
from graphopt.pipeline.base import RulePass


class ConvertSlicesToSpaceToDepth(RulePass):
    """Make one SpaceToDepth of the Slices that take every so manieth pixel, and of the Concat that puts them side by side.

    Before:  y = Concat<axis = 1>(x[:, :, ::2, ::2], x[:, :, 1::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, 1::2])
    After:   t = SpaceToDepth<blocksize = 2>(x); y = Gather<axis = 1>(t, channels)
    Keeps:   heights and widths that are not known to be multiples; other types than float and double. Exact.
    """

    name: ClassVar[str] = "convert-slices-to-space-to-depth"
    rules: ClassVar[tuple[Rule, ...]] = (slices_to_space_to_depth,)
