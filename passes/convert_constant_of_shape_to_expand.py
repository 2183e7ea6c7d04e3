"""Filled tensors for runtimes that lack ConstantOfShape."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition_indexing import constant_of_shape_to_expand
from graphopt.pipeline.base import RulePass


class ConvertConstantOfShapeToExpand(RulePass):
    """Fill a tensor by expanding one element.

    Before:  y = ConstantOfShape<value = {7}>(s)
    After:   y = Expand(7, s)
    Keeps:   models below opset 9, which have neither. Exact.
    """

    name: ClassVar[str] = "convert-constant-of-shape-to-expand"
    rules: ClassVar[tuple[Rule, ...]] = (constant_of_shape_to_expand,)
