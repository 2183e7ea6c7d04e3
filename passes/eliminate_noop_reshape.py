"""Reshapes to the shape that is there."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import reshape_to_own_shape, reshape_to_same_shape
from graphopt.pipeline.base import RulePass


class EliminateNoopReshape(RulePass):
    """Remove Reshape to the shape that its operand provably has.

    Before:  t = Reshape(x, [0, -1]); y = Relu(t)      x: (N, 3)
    After:   y = Relu(x)
    Keeps:   a Reshape to a number where the operand has an unknown dimension. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-reshape"
    rules: ClassVar[tuple[Rule, ...]] = (reshape_to_same_shape, reshape_to_own_shape)
