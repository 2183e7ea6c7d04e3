"""Products with an inverse."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.division import times_inverse_root
from graphopt.pipeline.base import RulePass


class FuseDivMul(RulePass):
    """Divide by a square root instead of multiplying by its inverse.

    Before:  r = Sqrt(z); t = Div(1, r); y = Mul(x, t)          or t = Reciprocal(r)
    After:   r = Sqrt(z); y = Div(x, r)
    Keeps:   inverses of other numbers, which overflow where the quotient does not. Rounding: once instead of twice.
    """

    name: ClassVar[str] = "fuse-div-mul"
    rules: ClassVar[tuple[Rule, ...]] = (times_inverse_root,)
