"""Slices of Slices."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.slice import slice_slice
from graphopt.pipeline.base import RulePass


class FuseConsecutiveSlices(RulePass):
    """Cut at once what two Slices cut one after the other.

    Before:  t = Slice(x, [1], [9], [2]); y = Slice(t, [0], [4], [3])
    After:   y = Slice(x, [1, 0], [9, 4], [2, 3])
    Keeps:   bounds that are not constant; steps backwards; two cuts along one axis that hang on its unknown extent. Exact.
    """

    name: ClassVar[str] = "fuse-consecutive-slices"
    rules: ClassVar[tuple[Rule, ...]] = (slice_slice,)
