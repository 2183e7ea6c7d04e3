"""Squeeze and Unsqueeze that undo each other."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.squeeze import squeeze_unsqueeze, unsqueeze_squeeze
from graphopt.pipeline.base import RulePass


class EliminateSqueezeUnsqueezePair(RulePass):
    """Remove a Squeeze after an Unsqueeze of the same axes, and the other way round.

    Before:  t = Unsqueeze(x, [0]); y = Squeeze(t, [0])
    After:   y = x
    Keeps:   Squeeze without axes; axes counted from the end where the rank is not known. Exact.
    """

    name: ClassVar[str] = "eliminate-squeeze-unsqueeze-pair"
    rules: ClassVar[tuple[Rule, ...]] = (unsqueeze_squeeze, squeeze_unsqueeze)
