"""Splits into one part."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import split_into_one
from graphopt.pipeline.base import RulePass


class EliminateNoopSplit(RulePass):
    """Remove Split with one output.

    Before:  t = Split<num_outputs = 1>(x); y = Relu(t)
    After:   y = Relu(x)
    Keeps:   every other Split. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-split"
    rules: ClassVar[tuple[Rule, ...]] = (split_into_one,)
