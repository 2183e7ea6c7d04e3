"""Sequences that are built only to be taken apart."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.patterns.sequence import (
    concat_from_construct,
    erase_from_construct,
    insert_into_construct,
    sequence_at_construct,
    sequence_length_of_construct,
    sequence_length_of_empty,
    split_to_construct,
)
from graphopt.pipeline.base import Context, RulePass


class EliminateSequence(RulePass):
    """Pass tensors on directly where a sequence is built and taken apart at known positions.

    Before:  s = SplitToSequence(x, split); a = SequenceAt(s, 0); b = SequenceAt(s, -1)
    After:   a, m, b = Split(x, split)
    Keeps:   sequences that something else reads, positions that are not constant or out of range, splits into a number of parts that is
             not known. One Split serves all readers. Exact.
    """

    name: ClassVar[str] = "eliminate-sequence"
    rules: ClassVar[tuple[Rule, ...]] = (
        sequence_at_construct,
        sequence_length_of_construct,
        concat_from_construct,
        insert_into_construct,
        erase_from_construct,
            sequence_length_of_empty,
        split_to_construct,
    )

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules; of the tensors more is known than was of the sequence."""
        changes = super().run(graph, context)
        context.stale |= changes > 0
        return changes
