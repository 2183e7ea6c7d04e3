"""Differences as sums."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.conversion import sub_to_add
from graphopt.pipeline.base import RulePass


class ConvertSubToAdd(RulePass):
    """Say the difference to a constant as a sum.

    Before:  y = Sub(x, 3)
    After:   y = Add(x, -3)
    Keeps:   unsigned integers, which have no negatives; constants of more than 64 KiB. Exact.
    """

    name: ClassVar[str] = "convert-sub-to-add"
    rules: ClassVar[tuple[Rule, ...]] = (sub_to_add,)
