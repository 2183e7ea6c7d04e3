"""Operands that broadcasting grows anyway."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.broadcast import binary_of_expand, binary_of_filled
from graphopt.pipeline.base import RulePass


class EliminateExpandBeforeBroadcast(RulePass):
    """Give an operator what an Expand, or a ConstantOfShape, makes bigger, when the operator broadcasts it to the same shape.

    Before:  e = Expand(m, [N, 4, S]); y = Add(x, e)    x: (N, 4, S)
    After:   y = Add(x, m)
    Keeps:   an Expand that gives the result its shape, or may; the condition of Where. Exact.
    """

    name: ClassVar[str] = "eliminate-expand-before-broadcast"
    rules: ClassVar[tuple[Rule, ...]] = (binary_of_expand, binary_of_filled)
