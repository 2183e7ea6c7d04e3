"""Bounds one after the other."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.clip import clip_clip, clip_relu, clip_without_bounds, min_max, min_relu, relu_clip
from graphopt.pipeline.base import RulePass


class FuseConsecutiveClips(RulePass):
    """Bound once: Clip, Relu, Min and Max with constant bounds, one after another, become one Clip.

    Before:  t = Relu(x); y = Clip(t, -1, 6)            or t = Max(x, 0); y = Min(t, 6); or t = Clip(x, 0, 9); y = Clip(t, -1, 6)
    After:   y = Clip(x, 0, 6)
    Keeps:   bounds that are infinite, NaN, in the wrong order, or several numbers; ranges of which 0 alone is left. Rounding: of -0 either
             zero may come out, where a bound is 0; otherwise exact.
    """

    name: ClassVar[str] = "fuse-consecutive-clips"
    rules: ClassVar[tuple[Rule, ...]] = (clip_clip, clip_relu, clip_without_bounds, min_max, min_relu, relu_clip)
