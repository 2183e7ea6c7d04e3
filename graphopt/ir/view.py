"""A read-only, typed view of a graph: what analyses, conditions and plug-ins get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import Type


@final
class GraphView:
    """Looks at one graph. Everything it answers is current; nothing it offers changes the model."""

    __slots__ = ("_graph",)

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def name(self) -> str:
        """The graph's name."""
        return self._graph.name

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The graph's inputs, overridable initializers among them."""
        return tuple(self._graph.inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The graph's outputs, in their order."""
        return self._graph.outputs

    @property
    def initializers(self) -> tuple[Value, ...]:
        """The stored tensors, overridable ones among them."""
        return tuple(self._graph.initializers.values())

    def nodes(self) -> Iterator[Node]:
        """Each node after the nodes whose outputs it reads (topological order); subgraphs are not entered."""
        return iter(self._graph)

    def subgraphs(self) -> Iterator[GraphView]:
        """The graphs directly inside this one."""
        for node in self._graph:
            for inner in node.subgraphs:
                yield GraphView(inner)

    def opset(self, domain: str = "") -> int | None:
        """The version of a domain that governs this graph; None when it is not imported."""
        return self._graph.opsets.get(domain)

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for inputs and initializers."""
        return value.producer

    def readers(self, value: Value) -> tuple[Node, ...]:
        """The nodes that read a value, in this graph or captured below it; the end of a graph counts as `is_output`, not here."""
        return tuple(node for node in value.users if node.graph is None or node is not node.graph.exit)

    def is_output(self, value: Value) -> bool:
        """Whether the graph that makes a value returns it."""
        return value.is_output

    def is_captured(self, value: Value) -> bool:
        """Whether a subgraph reads a value from outside."""
        return value.is_captured

    def captures(self) -> tuple[Value, ...]:
        """The values of enclosing graphs that this graph, or one inside it, reads; in the order of first use."""
        found: dict[Value, None] = {}
        for graph in self._graph.walk():
            for node in (*graph, graph.exit):
                for value in node.inputs:
                    if value is not None and not self._graph.encloses(value.scope):
                        found[value] = None
        return tuple(found)

    def constant(self, value: Value) -> Tensor | None:
        """The content of a value when no caller can change it."""
        return value.const

    def type(self, value: Value) -> Type | None:
        """What is known of a value's type."""
        return value.type
