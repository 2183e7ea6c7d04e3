"""Tiles that repeat nothing."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import tile_once
from graphopt.pipeline.base import RulePass


class EliminateNoopTile(RulePass):
    """Remove Tile that takes everything once.

    Before:  t = Tile(x, [1, 1]); y = Relu(t)          x: (M, N)
    After:   y = Relu(x)
    Keeps:   repeats that a caller may give. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-tile"
    rules: ClassVar[tuple[Rule, ...]] = (tile_once,)
