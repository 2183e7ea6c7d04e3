"""Concats of Concats."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.concat import concat_of_concats
from graphopt.pipeline.base import RulePass


class FuseConsecutiveConcats(RulePass):
    """Join at once what is joined along one axis by two Concats.

    Before:  t = Concat<axis = 1>(x, y); u = Concat<axis = 1>(t, z)
    After:   u = Concat<axis = 1>(x, y, z)
    Keeps:   an inner Concat that others read. Exact.
    """

    name: ClassVar[str] = "fuse-consecutive-concats"
    rules: ClassVar[tuple[Rule, ...]] = (concat_of_concats,)
