"""Initializers that callers may override, and need not."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.job import freeze


class RemoveInitializersFromInputs(Pass):
    """Make constants of the initializers that are inputs as well. Callers can no longer feed them: the signature changes.

    Before:  (float[2] x, float[2] w = {1, 2}) => (float[2] y)  { y = Mul(x, w) }
    After:   (float[2] x) => (float[2] y)                       { y = Mul(x, w) }    with the initializer w = {1, 2}
    Keeps:   names, order and types of all other inputs. A model of IR version 3 becomes one of version 4: before, every initializer has
             to be an input. Exact, as long as nobody feeds them.
    """

    name: ClassVar[str] = "remove-initializers-from-inputs"
    changes_signature: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> int:
        """Freeze the initializers of the main graph."""
        is_main = graph is context.model.graph and any(value.overridable for value in graph.initializers.values())
        if not is_main or not context.observer.may_apply(self.name, graph.exit):
            return 0
        frozen = freeze(context.model)
        context.observer.applied(self.name, graph.exit, ())
        context.stale = True
        return len(frozen)
