"""Parts of a Concat that are what was joined."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.concat_parts import gather_of_concat, slice_of_concat, split_of_concat
from graphopt.pipeline.base import RulePass


class EliminateSliceOfConcat(RulePass):
    """Take what a Slice, Split or Gather takes of a Concat from its operands.

    Before:  t = Concat<axis = 1>(x, y); a = Slice(t, [8], [12], [1]); b, c = Split<axis = 1>(t, [8, 4])          x: (N, 8), y: (N, 4)
    After:   a = y; b = x; c = y
    Keeps:   parts of several operands that do not end where these meet; bounds and indices that are not constant; operands whose
             extents hide where they meet. Exact.
    """

    name: ClassVar[str] = "eliminate-slice-of-concat"
    rules: ClassVar[tuple[Rule, ...]] = (slice_of_concat, gather_of_concat, split_of_concat)
