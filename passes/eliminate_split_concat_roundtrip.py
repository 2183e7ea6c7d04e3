"""Concats of what was parted."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.concat_parts import concat_of_slices, concat_of_split
from graphopt.pipeline.base import RulePass


class EliminateSplitConcatRoundtrip(RulePass):
    """Leave together what a Split or Slices part and a Concat joins again.

    Before:  a, b = Split<axis = 1>(x); t = Concat<axis = 1>(a, b, y)
             c = Slice(x, [0], [2]); d = Slice(x, [2], [5]); u = Concat<axis = 0>(c, d)
    After:   t = Concat<axis = 1>(x, y); u = Slice(x, [0], [5])
    Keeps:   another order; some parts of a Split; Slices that others read. Exact.
    """

    name: ClassVar[str] = "eliminate-split-concat-roundtrip"
    rules: ClassVar[tuple[Rule, ...]] = (concat_of_split, concat_of_slices)
