"""Indices that take or write everything."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.indexing import gather_of_all, gathernd_of_unsqueeze_to_gather, gathernd_to_gather, scatternd_of_all
from graphopt.pipeline.base import RulePass


class EliminateRedundantIndex(RulePass):
    """Remove a Gather of everything and a ScatterND onto everything; make Gather of a GatherND with one index each.

    Before:  t = Gather(x, [0, 1, 2]); y = ScatterND(t, [[0], [1], [2]], u); z = GatherND(u, [[2], [0]])          x, u: (3, 4)
    After:   y = u; z = Gather(u, [2, 0])
    Keeps:   indices that are not constant, but for Range(0, n, 1); another order; a GatherND of rows that may be empty; ScatterND that
             adds or multiplies. Exact.
    """

    name: ClassVar[str] = "eliminate-redundant-index"
    rules: ClassVar[tuple[Rule, ...]] = (gather_of_all, gathernd_to_gather, gathernd_of_unsqueeze_to_gather, scatternd_of_all)
