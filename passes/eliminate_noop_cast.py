"""Casts to the type that is there."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import cast_like_same_type, cast_to_same_type
from graphopt.pipeline.base import RulePass


class EliminateNoopCast(RulePass):
    """Remove Cast and CastLike to the type that their operand has.

    Before:  t = Cast<to = 1>(x); y = Relu(t)          x: float
    After:   y = Relu(x)
    Keeps:   Casts of values whose type is not known. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-cast"
    rules: ClassVar[tuple[Rule, ...]] = (cast_to_same_type, cast_like_same_type)
