"""Selections that select nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.selection import where_decided, where_same, where_true, where_true_false
from graphopt.pipeline.base import RulePass


class SimplifyWhere(RulePass):
    """Remove Where whose condition is constant, or whose branches are equal; say Where of conditions as a condition.

    Before:  y = Where(true, a, b)                      or y = Where(c, a, a); or y = Where(c, true, d); or y = Where(c, d, false)
    After:   y = a                                      or y = a; or y = Or(c, d); or y = And(c, d)
    Keeps:   a Where that also broadcasts what it takes; conditions of more than 64 KiB. Rounding: a -0 stays of which
             Where may have made +0; otherwise exact.
    """

    name: ClassVar[str] = "simplify-where"
    rules: ClassVar[tuple[Rule, ...]] = (where_decided, where_same, where_true_false, where_true)
