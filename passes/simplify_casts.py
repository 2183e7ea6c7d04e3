"""Casts of casts, and casts to the type of another value."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.cast import cast_back, cast_cast, cast_like_to_cast, cast_of_constant_of_shape, concat_of_casts, shape_of_cast
from graphopt.pipeline.base import RulePass


class SimplifyCasts(RulePass):
    """Make one Cast of two or more, none where the second undoes the first or only the shape is asked for, and Casts of CastLike.

    Before:  t = Cast<to = float>(x); y = Cast<to = float16>(t); z = CastLike(c, y)            x: float16
    After:   z = Cast<to = float16>(c)                                                           y is x
    Before:  y = Concat(Cast<to = float>(a), Cast<to = float>(b)); s = Shape(y)                a, b: float16
    After:   t = Concat(a, b); y = Cast<to = float>(t); s = Shape(t)
    Before:  y = Cast<to = int32>(ConstantOfShape<value = 1.0>(s))
    After:   y = ConstantOfShape<value = 1>(s)
    Keeps:   a first Cast to a type that does not hold every value that it gets (float to float16, int64 to float, float to int64), and
             second Casts from floats to integers; a Concat of Casts to a narrower type, which copies less as it is. Exact.
    """

    name: ClassVar[str] = "simplify-casts"
    rules: ClassVar[tuple[Rule, ...]] = (cast_like_to_cast, cast_back, cast_cast, cast_of_constant_of_shape, concat_of_casts, shape_of_cast)
