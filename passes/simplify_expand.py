"""Repetitions of repetitions."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.expand import expand_expand, moved_expand, tile_tile
from graphopt.pipeline.base import RulePass


class SimplifyExpand(RulePass):
    """Repeat once what is repeated twice, and one element at once in the shape that it comes to have.

    Before:  t = Expand(x, [3, 1]); y = Expand(t, [2, 1, 4]); u = Expand(c, [2, 3]); z = Unsqueeze(u, [1])          c: one element
    After:   y = Expand(x, [2, 3, 4]); z = Expand(c, [2, 1, 3])
    Keeps:   shapes that are not constant; what others read. Exact.
    """

    name: ClassVar[str] = "simplify-expand"
    rules: ClassVar[tuple[Rule, ...]] = (expand_expand, tile_tile, moved_expand)
