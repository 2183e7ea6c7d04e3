"""Slices that cut nothing off."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import slice_of_all
from graphopt.pipeline.base import RulePass


class EliminateNoopSlice(RulePass):
    """Remove Slice that takes everything, in order.

    Before:  t = Slice(x, [0], [9223372036854775807], [1]); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   steps other than 1; ends that are not known to be the end. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-slice"
    rules: ClassVar[tuple[Rule, ...]] = (slice_of_all,)
