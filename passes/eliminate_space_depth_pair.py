"""Blocks of pixels put into channels and back again."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.depth import depth_to_space_to_depth, space_to_depth_to_space
from graphopt.pipeline.base import RulePass


class EliminateSpaceDepthPair(RulePass):
    """Remove a DepthToSpace after a SpaceToDepth with blocks of the same size, and the other way round.

    Before:  t = SpaceToDepth<blocksize = 2>(x); y = DepthToSpace<blocksize = 2>(t)
    After:   y = x
    Keeps:   mode CRD, which orders the channels otherwise. Exact.
    """

    name: ClassVar[str] = "eliminate-space-depth-pair"
    rules: ClassVar[tuple[Rule, ...]] = (space_to_depth_to_space, depth_to_space_to_depth)
