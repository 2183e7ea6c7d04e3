"""Optionals of which it is known whether they hold something."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.match.rule import Rule
from graphopt.patterns.sequence import (
    element_of_optional,
    element_of_tensor,
    has_element_of_nothing,
    has_element_of_optional,
    has_element_of_tensor,
)
from graphopt.pipeline.base import Context, RulePass


class EliminateOptional(RulePass):
    """Read what an optional is made of, and know that it is there.

    Before:  o = Optional(x); b = OptionalHasElement(o); y = OptionalGetElement(o)
    After:   y = x                               with the initializer b = true
    Keeps:   optionals that come from a caller, a branch or a loop. Exact.
    """

    name: ClassVar[str] = "eliminate-optional"
    rules: ClassVar[tuple[Rule, ...]] = (
        has_element_of_optional,
        has_element_of_nothing,
        has_element_of_tensor,
        element_of_optional,
        element_of_tensor,
    )

    def run(self, graph: Graph, context: Context) -> int:
        """Apply the rules; of the element more is known than was of the optional."""
        changes = super().run(graph, context)
        context.stale |= changes > 0
        return changes
