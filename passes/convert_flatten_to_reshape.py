"""Flatten as Reshape."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.reshape_family import flatten_to_reshape
from graphopt.pipeline.base import RulePass


class ConvertFlattenToReshape(RulePass):
    """Spell Flatten as Reshape, for targets that have only the one.

    Before:  y = Flatten<axis = 1>(x)                    x: (N, 3, 4)
    After:   y = Reshape(x, [0, 12])
    Keeps:   shapes with two dimensions that no number says, or one beside another that may be 0. Exact.
    """

    name: ClassVar[str] = "convert-flatten-to-reshape"
    rules: ClassVar[tuple[Rule, ...]] = (flatten_to_reshape,)
