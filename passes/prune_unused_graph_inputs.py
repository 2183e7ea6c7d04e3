"""Inputs that a model does not read."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.ir.ports import remove_graph_input
from graphopt.pipeline.base import Context, Pass


class PruneUnusedGraphInputs(Pass):
    """Take the inputs that nobody reads out of the model. Callers must stop feeding them: the signature changes.

    Before:  (float[2] x, float[2] unused) => (float[2] y)  { y = Relu(x) }
    After:   (float[2] x) => (float[2] y)  { y = Relu(x) }
    Keeps:   inputs that are outputs as well, inputs of local functions. Exact.
    """

    name: ClassVar[str] = "prune-unused-graph-inputs"
    changes_signature: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> int:
        """Prune the inputs of the main graph."""
        if graph is not context.model.graph:
            return 0
        unused = [value for value in graph.inputs if not value.users and value.name not in context.model.annotating]
        return context.change_all(self.name, graph, unused, lambda value: remove_graph_input(graph, value))
