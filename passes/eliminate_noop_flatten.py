"""Flattens of what is flat."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import flatten_of_matrix
from graphopt.pipeline.base import RulePass


class EliminateNoopFlatten(RulePass):
    """Remove Flatten of a matrix into the same matrix.

    Before:  t = Flatten<axis = 1>(x); y = Relu(t)     x: (M, N)
    After:   y = Relu(x)
    Keeps:   Flatten of what is not known to be a matrix. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-flatten"
    rules: ClassVar[tuple[Rule, ...]] = (flatten_of_matrix,)
