"""Resizes to the size that is there."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import resize_by_one, resize_to_same_size, upsample_by_one
from graphopt.pipeline.base import RulePass


class EliminateNoopResize(RulePass):
    """Remove Resize and Upsample by the factor 1, or to the size that is there.

    Before:  t = Resize<mode = "nearest">(x, , [1, 1, 1, 1]); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   cropping, keep_aspect_ratio_policy other than stretch, and linear and cubic modes (where infinities spread). Exact.
    """

    name: ClassVar[str] = "eliminate-noop-resize"
    rules: ClassVar[tuple[Rule, ...]] = (resize_by_one, resize_to_same_size, upsample_by_one)
