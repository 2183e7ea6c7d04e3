"""Quotients as products."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.conversion import div_to_mul
from graphopt.pipeline.base import RulePass


class ConvertDivToMul(RulePass):
    """Say the quotient by powers of 2 as a product with their inverse.

    Before:  y = Div(x, 8)
    After:   y = Mul(x, 0.125)
    Keeps:   other numbers, whose inverses are rounded; constants of more than 64 KiB. Exact.
    """

    name: ClassVar[str] = "convert-div-to-mul"
    rules: ClassVar[tuple[Rule, ...]] = (div_to_mul,)
