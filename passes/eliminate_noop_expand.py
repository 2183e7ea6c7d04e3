"""Expands that grow nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import expand_to_own_shape, expand_to_same_shape
from graphopt.pipeline.base import RulePass


class EliminateNoopExpand(RulePass):
    """Remove Expand to a shape into which nothing has to grow.

    Before:  t = Expand(x, [1, 3]); y = Relu(t)        x: (N, 3)
    After:   y = Relu(x)
    Keeps:   an Expand that adds dimensions, or may enlarge one. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-expand"
    rules: ClassVar[tuple[Rule, ...]] = (expand_to_same_shape, expand_to_own_shape)
