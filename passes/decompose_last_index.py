"""The last of several greatest elements, for runtimes that find the first alone."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.decomposition_indexing import arg_max_last, arg_min_last
from graphopt.pipeline.base import RulePass


class DecomposeLastIndex(RulePass):
    """Find the last index of the greatest or smallest element as the first one from the back.

    Before:  y = ArgMax<axis = 1, select_last_index = 1>(x)                                             x: (N, 10)
    After:   b = Slice(x, [-1], [-2147483647], [1], [-1]); i = ArgMax<axis = 1>(b); y = Sub(9, i)
    Keeps:   floats, among which a NaN may be; an axis whose extent is not known. Exact.
    """

    name: ClassVar[str] = "decompose-last-index"
    rules: ClassVar[tuple[Rule, ...]] = (arg_max_last, arg_min_last)
