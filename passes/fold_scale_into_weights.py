"""Factors into the weights before them."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.scale import matmul_div_to_matmul, matmul_mul_to_matmul
from graphopt.pipeline.base import RulePass


class FoldScaleIntoWeights(RulePass):
    """Fold a factor after a MatMul with constant weights into the weights, and into the term that is added before it.

    Before:  t = MatMul(x, w); u = Add(t, b); y = Mul(u, c)              c: one element, at most 1
    After:   t = MatMul(x, w * c); y = Add(t, b * c)
    Keeps:   weights that others read; factors that make weights bigger, and those below 2^-24; 16-bit floats. Nothing is read or
             computed before the model is written. Rounding: each weight once.
    """

    name: ClassVar[str] = "fold-scale-into-weights"
    rules: ClassVar[tuple[Rule, ...]] = (matmul_mul_to_matmul, matmul_div_to_matmul)
