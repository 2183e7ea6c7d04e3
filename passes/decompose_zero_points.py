"""Zero points of integer products."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.integer_matmul import matmulinteger_without_zero_points
from graphopt.pipeline.base import Level, RulePass


class DecomposeZeroPoints(RulePass):
    """Write a MatMulInteger with zero points as one without, less the sums of rows and columns.

    Before:  i = MatMulInteger(a, b, z, k)                               a: (..., K)   b: (K, N)
    After:   i = MatMulInteger(a, b) - k * rows(a) - (z * columns(b) - K * z * k)        the last is a constant where b is
    Keeps:   zero points that are computed, or differ along rows; depths that are not known, or above 33025. For targets without
             zero points in products. Exact.
    """

    name: ClassVar[str] = "decompose-zero-points"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (matmulinteger_without_zero_points,)
