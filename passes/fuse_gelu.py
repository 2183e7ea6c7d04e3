"""Gelu."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.gelu import erf_gelu, tanh_gelu
from graphopt.pipeline.base import RulePass


class FuseGelu(RulePass):
    """Make one Gelu of what exporters write out of it, with the error function or with the tangent.

    Before:  t = Erf(Div(x, sqrt(2))); u = Mul(x, Add(t, 1)); y = Mul(u, 0.5)
    After:   y = Gelu(x)                                                approximate = "tanh" for the form with Tanh
    Keeps:   constants that are not the ones of the definition in all their digits; models below opset 20. Rounding: the sums and products
             in another order.
    """

    name: ClassVar[str] = "fuse-gelu"
    rules: ClassVar[tuple[Rule, ...]] = (erf_gelu, tanh_gelu)
