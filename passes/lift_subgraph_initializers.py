"""Initializers of branches and loop bodies."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.inline import Inliner


class LiftSubgraphInitializers(Pass):
    """Store the initializers of subgraphs with those of the main graph, where branches side by side can share them.

    Before:  y = If(p) <then_branch = { r = Mul(x, w) }, ...>        with the initializer w in the branch
    After:   y = If(p) <then_branch = { r = Mul(x, w) }, ...>        with the initializer w in the main graph
    Keeps:   what a subgraph returns, defaults of its inputs, sparse initializers, models of IR version 3. Not at a level: what lies
             outside of a body is no constant to the inference and to some kernels of runtimes. A name that is taken gets a number. Exact.
    """

    name: ClassVar[str] = "lift-subgraph-initializers"

    def run(self, graph: Graph, context: Context) -> int:
        """Lift from all subgraphs of this graph."""
        if not graph.holds_initializers:
            return 0
        inliner, changes = Inliner(graph, context.editor), 0
        for inner in graph.walk():
            for value in list(inner.initializers.values()) if inner is not graph else ():
                if value.const is None or value.is_output or value.name in context.model.annotating:
                    continue
                if context.observer.may_apply(self.name, inner.exit):
                    inliner.move_initializer(value, graph, graph.exit)
                    context.observer.applied(self.name, inner.exit, ())
                    changes += 1
        return changes
