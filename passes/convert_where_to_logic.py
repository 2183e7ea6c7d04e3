"""Selections among conditions."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.selection import where_to_logic
from graphopt.pipeline.base import RulePass


class ConvertWhereToLogic(RulePass):
    """Say Where of conditions with And, Or and Not, for runtimes that select no bool.

    Before:  y = Where(c, a, b)                         a, b: bool
    After:   s = And(c, a); n = Not(c); t = And(n, b); y = Or(s, t)
    Keeps:   Where of anything else. Exact.
    """

    name: ClassVar[str] = "convert-where-to-logic"
    rules: ClassVar[tuple[Rule, ...]] = (where_to_logic,)
