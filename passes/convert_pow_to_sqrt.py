"""Square roots that are written as powers."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.power import pow_to_sqrt
from graphopt.pipeline.base import RulePass


class ConvertPowToSqrt(RulePass):
    """Say the power of 0.5 as Sqrt, of what is never negative.

    Before:  v = ReduceMean(s); t = Add(v, 1e-5); y = Pow(t, 0.5)                   s: a square
    After:   y = Sqrt(t)
    Keeps:   powers of what may be -inf: Pow makes inf of it, Sqrt NaN. Rounding.
    """

    name: ClassVar[str] = "convert-pow-to-sqrt"
    rules: ClassVar[tuple[Rule, ...]] = (pow_to_sqrt,)
