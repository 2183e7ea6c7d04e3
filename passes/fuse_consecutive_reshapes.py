"""Reshapes of reshapes."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.reshape import reshape_of_reshaped, squeeze_squeeze, unsqueeze_unsqueeze
from graphopt.patterns.reshape_family import reshaped_twice
from graphopt.patterns.squeeze import squeeze_unsqueeze, unsqueeze_squeeze
from graphopt.pipeline.base import RulePass


class FuseConsecutiveReshapes(RulePass):
    """Make one of two operators that only say the shape anew.

    Before:  t = Reshape(x, s); y = Reshape(t, [-1, 768]); u = Unsqueeze(z, [1]); v = Unsqueeze(u, [2])
    After:   y = Reshape(x, [-1, 768]); v = Unsqueeze(z, [1, 2])
    Keeps:   a second shape with a 0 that copies a dimension which the first changed, or may have one; pairs of two kinds whose result
             has two dimensions that no number says, or one beside another that may be 0. Exact.
    """

    name: ClassVar[str] = "fuse-consecutive-reshapes"
    rules: ClassVar[tuple[Rule, ...]] = (
        reshape_of_reshaped,
        unsqueeze_unsqueeze,
        squeeze_squeeze,
        # Before the last, which would leave a Reshape where a dimension is not known.
        unsqueeze_squeeze,
        squeeze_unsqueeze,
        reshaped_twice,
    )
