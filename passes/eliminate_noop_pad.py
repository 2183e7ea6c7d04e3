"""Pads of no width."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.noop import pad_with_nothing
from graphopt.pipeline.base import RulePass


class EliminateNoopPad(RulePass):
    """Remove Pad that adds nothing and cuts nothing off.

    Before:  t = Pad(x, [0, 0, 0, 0]); y = Relu(t)     x: (M, N)
    After:   y = Relu(x)
    Keeps:   negative pads (they crop), pads that a caller may give. Exact.
    """

    name: ClassVar[str] = "eliminate-noop-pad"
    rules: ClassVar[tuple[Rule, ...]] = (pad_with_nothing,)
