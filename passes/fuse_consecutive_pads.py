"""Pads of Pads."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.consecutive_pads import pad_pad
from graphopt.pipeline.base import RulePass


class FuseConsecutivePads(RulePass):
    """Pad at once what two Pads fill with the same value.

    Before:  t = Pad(x, [0, 1, 0, 0]); y = Pad(t, [1, 1, 0, 2])
    After:   y = Pad(x, [1, 2, 0, 2])
    Keeps:   modes other than constant, and pads below 0, which take away. Exact.
    """

    name: ClassVar[str] = "fuse-consecutive-pads"
    rules: ClassVar[tuple[Rule, ...]] = (pad_pad,)
