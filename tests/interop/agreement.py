"""Whether the networkx picture of a graph says what the graph says, found out the long way."""

from __future__ import annotations

from collections import Counter

import networkx as nx

from graphopt.interop import to_networkx
from graphopt.ir import Graph, Model, Node, Value


def disagreement(graph: Graph) -> str | None:
    """What the picture of one graph says otherwise than the graph; None when it agrees in nodes, kinds, edges, order and longest path."""
    picture = to_networkx(graph)
    nodes = [*graph, graph.exit]
    if [node for node in picture if picture.nodes[node]["kind"] in ("node", "exit")] != nodes:
        return "other nodes, or another order"
    given = [node for node in picture if picture.nodes[node]["kind"] in ("input", "initializer")]
    if set(given) != {*graph.inputs, *graph.initializers.values()}:
        return "other inputs or initializers"
    if not nx.is_directed_acyclic_graph(picture):
        return "a cycle"
    expected = Counter[tuple[object, object, object]]()
    for node in nodes:
        for slot, value in enumerate(node.inputs):
            if value is not None:
                expected[_maker(value, graph), node, slot] += 1
        for value in _captured(node):
            expected[_maker(value, graph), node, None] += 1
    found = Counter[tuple[object, object, object]]((maker, reader, data["slot"]) for maker, reader, data in picture.edges(data=True))
    if found != expected:
        return f"{len(found - expected)} edges too many, {len(expected - found)} too few"
    if any(_maker(data["value"], graph) is not maker for maker, _, data in picture.edges(data=True)):
        return "an edge with a value that its maker does not make"
    if nx.dag_longest_path_length(picture) != _depth(graph):
        return f"a longest path of {nx.dag_longest_path_length(picture)}, which is {_depth(graph)}"
    return None


def disagreements(model: Model) -> list[str]:
    """The same of every graph of a model."""
    return [f"{graph!r}: {why}" for graph in model.graphs() if (why := disagreement(graph)) is not None]


def _maker(value: Value, graph: Graph) -> Node | Value:
    return value.producer if value.producer is not None and value.producer.graph is graph else value


def _captured(node: Node) -> set[Value]:
    """What the graphs inside a node read of what is made around it, found node by node."""
    found: set[Value] = set()
    for subgraph in node.subgraphs:
        made: set[Value] = set()
        for graph in subgraph.walk():
            made.update(graph.inputs, graph.initializers.values(), *(inner.outputs for inner in graph))
        for graph in subgraph.walk():
            for inner in (*graph, graph.exit):
                found.update(value for value in inner.inputs if value is not None and value not in made)
    return found


def _depth(graph: Graph) -> int:
    """How many edges the longest path has: nodes come in running order, so one pass over them is enough."""
    depth: dict[Node | Value, int] = {}
    for node in (*graph, graph.exit):
        read = {_maker(value, graph) for value in (*node.inputs, *_captured(node)) if value is not None}
        depth[node] = max((depth.get(maker, 0) + 1 for maker in read), default=0)
    return max(depth.values(), default=0)
