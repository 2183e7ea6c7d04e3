"""What stands in a subgraph, moved into the graph around it: a branch that is always taken, a body that runs once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import final

from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.scopes import values_of
from graphopt.rewrite.node_names import NodeNames
from graphopt.schema import facts
from graphopt.schema.rare import refuses_identity


@final
class Inliner:
    """Moves out what stands in the subgraphs of one root graph: the main graph or a function's body.

    Nodes stay themselves: their metadata and doc strings, and whoever reads them. They keep their names where no node around has the
    same, and values where nothing else under the root has.
    """

    def __init__(self, root: Graph, editor: Editor) -> None:
        self.root, self.editor = root, editor
        self.node_names = NodeNames()

    def everywhere(self, op: str, inline: Callable[[Node], bool]) -> int:
        """Ask for each node of an operator under the root whether it was inlined; what was moved out is asked next. Returns how many were.

        Outer ones first, so that each node moves once.
        """
        return sum(self.editor.holds(node) and inline(node) for node in self.editor.calls(self.root, (op,)))

    def refusal(self, inner: Graph) -> str | None:
        """Why what stands in a subgraph cannot stand around it; None when it can."""
        graph = inner.parent
        if graph is None:
            return "it stands in no graph"
        for value in inner.initializers.values():
            if value.overridable:
                return f"{value!r} is an input with a default"
            if value.name in graph.model.annotating:
                return f"a quantization annotation names {value!r}"
            if value.tensor is None and not graph.holds_initializers:
                return f"{value!r} is sparse, and no initializer may be where it would have to go"
            if (why := facts.refuses_constant(graph, value.type)) is not None:
                return why
        return None

    def move_out(self, inner: Graph, before: Node) -> tuple[Node, ...]:
        """Move all that stands in a subgraph before a node of the graph around it; returns the nodes.

        The subgraph still returns what it returned. `refusal` must have agreed. Linear in what stands in the subgraph itself.
        """
        graph = before.graph
        assert graph is not None  # the caller holds a node of the graph
        for value in list(inner.initializers.values()):
            self.move_initializer(value, graph, before)
        nodes = tuple(inner)
        for node in nodes:
            self.move_node(node, before)
        return nodes

    def move_initializer(self, value: Value, graph: Graph, before: Node) -> None:
        """Move an initializer of a subgraph to a graph around it; a Constant node before `before` makes it where none can be."""
        self._part(value)
        self.editor.move_initializer(value, graph, before)

    def move_node(self, node: Node, before: Node) -> None:
        """Move one node out of a subgraph, before a node of a graph around it, where all that it reads must be made."""
        assert before.graph is not None  # the caller holds a node of the graph
        for value in node.outputs:
            if value.name:
                self._part(value)
        self.node_names.settle(node, before.graph)
        self.editor.move(node, before.graph, before)

    def replace(self, replaced: Iterable[tuple[Value, Value]], moved: Iterable[Node]) -> None:
        """Let the readers of each value read another that comes out the same; what `moved` makes takes over the names."""
        fresh = {value for node in moved for value in node.outputs}
        for old, new in replaced:
            if new.type is None:
                self.editor.set_type(new, old.type)
            if not old.users:
                continue
            takes_name = new in fresh and not new.is_output
            was_output = old.is_output
            self.editor.replace(old, new)
            if takes_name and not was_output:
                self.editor.exchange_names(old, new)
            fresh.discard(new)

    def forget(self, dropped: Iterable[Graph]) -> None:
        """Subgraphs that are about to be dropped: their names are free for others."""
        for graph in dropped:
            for inner in graph.walk():
                self._names.subtract(value.name for value in values_of(inner))

    def _part(self, value: Value) -> None:
        """Give a value a name of its own if another under the root has the same."""
        if self._names[value.name] > 1:
            self._names[value.name] -= 1
            self.editor.rename(value, self.editor.model.fresh_name(value.name))
            self._names[value.name] += 1

    @cached_property
    def _names(self) -> Counter[str]:
        """How many values have each name."""
        return Counter(value.name for graph in self.root.walk() for value in values_of(graph))


def output_refusal(pairs: Iterable[tuple[Value, Value]], inner: Graph) -> str | None:
    """Why a subgraph's values cannot stand in for others; None when they can.

    An output keeps its name by an Identity where what stands in for it is not made inside, or stands in for another one as well.
    """
    taken: set[Value] = set()
    for old, new in pairs:
        graph = old.scope
        if old.is_output and graph is not None and (new in taken or new.producer is None or new.scope is not inner):
            why = refuses_identity(graph, old.type if old.type is not None else new.type)
            if why is not None:
                return f"{old!r} is an output, and there can be no Identity that keeps its name: {why}"
        taken.add(new)
    return None
