"""Local functions that nobody calls."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph, Model
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts


class RemoveUnusedFunctions(Pass):
    """Remove local functions that no call reaches, neither from the main graph nor from a function that is called.

    Before:  y = Relu(x)                            with functions F and G, and F calls G
    After:   y = Relu(x)
    Keeps:   functions that are called, from a subgraph too. Exact.
    """

    name: ClassVar[str] = "remove-unused-functions"

    def run(self, graph: Graph, context: Context) -> int:
        """Remove from the model; asked once, for its main graph."""
        functions = context.model.functions
        if graph is not context.model.graph or not functions:
            return 0
        called = called_functions(context.model)
        unused = [key for key in functions if key not in called]
        return context.change_all(self.name, graph, unused, functions.pop)


def called_functions(model: Model) -> set[tuple[str, str, str]]:
    """The keys of the functions that the main graph calls, and of those that they call."""
    called: set[tuple[str, str, str]] = set()
    waiting = [model.graph]
    while waiting:
        for inner in waiting.pop().walk():
            for node in inner:
                function = facts.function_of(node)
                if function is not None and function.key not in called:
                    called.add(function.key)
                    waiting.append(function.graph)
    return called
