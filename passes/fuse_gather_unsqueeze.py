"""Single elements along an axis, as one Gather."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.gather import squeeze_slice_to_gather, unsqueeze_gather
from graphopt.pipeline.base import RulePass


class FuseGatherUnsqueeze(RulePass):
    """Take one element along an axis by one Gather, with or without its axis.

    Before:  t = Gather(x, 1); y = Unsqueeze(t, [0]); u = Slice(x, [2], [3], [0]); z = Squeeze(u, [0])
    After:   y = Gather(x, [1]); z = Gather(x, 2)
    Keeps:   indices and bounds that are not constant. Exact.
    """

    name: ClassVar[str] = "fuse-gather-unsqueeze"
    rules: ClassVar[tuple[Rule, ...]] = (unsqueeze_gather, squeeze_slice_to_gather)
