"""Pixel shuffles written out."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.depth import pixels_to_depth_space
from graphopt.pipeline.base import RulePass


class FuseDepthToSpace(RulePass):
    """Shuffle pixels into channels or back by one operator.

    Before:  t = Reshape(x, [N, C, 2, 2, H, W]); u = Transpose<perm = [0, 1, 4, 2, 5, 3]>(t); y = Reshape(u, [N, C, 2 * H, 2 * W])
    After:   y = DepthToSpace<blocksize = 2, mode = "CRD">(x)
    Keeps:   blocks that are not square; shapes that are not known; other types than float and double. Exact.
    """

    name: ClassVar[str] = "fuse-depth-to-space"
    rules: ClassVar[tuple[Rule, ...]] = (pixels_to_depth_space,)
