"""Casts of casts, and casts to the type of another value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.cast import cast_back, cast_cast, cast_like_to_cast
from graphopt.pipeline.base import RulePass


@dataclass(frozen=True)
class SimplifyCasts(RulePass):
    """Make one Cast of two, none where the second undoes the first, and Casts of CastLike.

    Before:  t = Cast<to = float>(x); y = Cast<to = float16>(t); z = CastLike(c, y)            x: float16
    After:   z = Cast<to = float16>(c)                                                           y is x
    Keeps:   a first Cast to a type that does not hold every value that it gets (float to float16, int64 to float, float to int64), and
             second Casts from floats to integers. Exact.
    """

    name: ClassVar[str] = "simplify-casts"
    rules: ClassVar[tuple[Rule, ...]] = (cast_like_to_cast, cast_back, cast_cast)
