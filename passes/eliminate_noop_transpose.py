"""Transposes that move nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import transpose_in_order, transpose_of_unit_axes
from graphopt.pipeline.base import RulePass


class EliminateNoopTranspose(RulePass):
    """Remove Transpose that keeps the order of the axes; make it a Reshape when only axes of extent 1 move.

    Before:  t = Transpose<perm = [0, 2, 1]>(x); y = Relu(t)          x: (2, 3, 1)
    After:   t = Reshape(x, [2, 1, 3]); y = Relu(t)
    Keeps:   a Transpose that moves two dimensions that are not known to be 1 past each other. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-transpose"
    rules: ClassVar[tuple[Rule, ...]] = (transpose_in_order, transpose_of_unit_axes)
