"""The order of indices that nobody reads."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.pooling import pool_without_order
from graphopt.pipeline.base import RulePass


class EliminatePoolOrder(RulePass):
    """Drop MaxPool's storage_order when nobody reads the indices that it orders.

    Before:  y = MaxPool<storage_order = 1, kernel_shape = [2, 2]>(x)
    After:   y = MaxPool<kernel_shape = [2, 2]>(x)
    Keeps:   a MaxPool whose indices are read. Approximate: of windows with a NaN, runtimes make one thing or another.
    """

    name: ClassVar[str] = "eliminate-pool-order"
    rules: ClassVar[tuple[Rule, ...]] = (pool_without_order,)
