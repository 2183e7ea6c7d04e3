"""Initializers as inputs with a default."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph, TensorType
from graphopt.ir.ports import add_graph_input
from graphopt.pipeline.base import Context, Pass


class AddInitializersToInputs(Pass):
    """List every initializer as an input too, so that callers may feed another value: for readers of IR version 3, and for retraining.

    Before:  (float[2] x) => (float[2] y)                       { y = Mul(x, w) }    with the initializer w = {1, 2}
    After:   (float[2] x, float[2] w = {1, 2}) => (float[2] y)  { y = Mul(x, w) }
    Keeps:   sparse initializers. What a caller may feed is no constant any more, so no pass after this one folds it. The inputs are new:
             the signature changes. Exact.
    """

    name: ClassVar[str] = "add-initializers-to-inputs"
    changes_signature: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> int:
        """List the initializers of the main graph."""
        if graph is not context.model.graph:
            return 0
        stored = [value for value in graph.initializers.values() if not value.overridable and isinstance(value.type, TensorType)]
        return context.change_all(self.name, graph, stored, lambda value: add_graph_input(graph, value))
