"""Casts of both sides of a comparison."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.logic import compare_of_casts
from graphopt.pipeline.base import RulePass


class EliminateCastBeforeCompare(RulePass):
    """Compare numbers as they are instead of casting both to a wider type first.

    Before:  s = Cast<to = int64>(a); t = Cast<to = int64>(b); y = Less(s, t)         a, b: int32
    After:   y = Less(a, b)
    Keeps:   casts to types that do not hold every value; types that some runtimes do not compare; casts that others read. Exact.
    """

    name: ClassVar[str] = "eliminate-cast-before-compare"
    rules: ClassVar[tuple[Rule, ...]] = (compare_of_casts,)
