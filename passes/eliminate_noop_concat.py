"""Concats of one operand."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import concat_of_one, concat_without_empty
from graphopt.pipeline.base import RulePass


class EliminateNoopConcat(RulePass):
    """Remove Concat of one operand, and operands of extent 0.

    Before:  t = Concat<axis = 0>(x, e); y = Relu(t)   e: (0, 3)
    After:   y = Relu(x)
    Keeps:   operands that are not known to be empty. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-concat"
    rules: ClassVar[tuple[Rule, ...]] = (concat_of_one, concat_without_empty)
