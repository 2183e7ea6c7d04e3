"""Graphs as networkx sees them: for longest paths, dominators, drawing orders, partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.view import GraphView

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(graph: Graph) -> nx.MultiDiGraph[Node | Value]:
    """One graph as an acyclic `networkx.MultiDiGraph`, a picture of the moment that later edits do not change.

    Its nodes are the `Node`s in their order, after the `Value`s that no node here makes (inputs, initializers, what a subgraph captures
    from outside), and last `graph.exit`, whose inputs are the graph's outputs: everything that matters leads there. Each has its `kind`:
    "input", "initializer", "captured", "node" or "exit"; an overridable initializer is an "input".

    An edge goes from the maker to the reader, one for every slot, with `value` and `slot`. What a node's subgraphs capture is an edge
    into that node, one for every value, whose `slot` is None. Edges have no weight, so a path counts its edges.

    >>> import networkx
    >>> from graphopt.io import parse_text
    >>> model = parse_text('''<ir_version: 10, opset_import: ["" : 20]>
    ... residual (float[N] x) => (float[N] y) { a = Exp(x)  b = Neg(a)  c = Relu(x)  y = Add(b, c) }''')
    >>> longest = networkx.dag_longest_path(to_networkx(model.graph))
    >>> longest[0], [each.op for each in longest[1:]]
    (%x, ['Exp', 'Neg', 'Add', 'exit'])
    """
    import networkx as nx

    made: nx.MultiDiGraph[Node | Value] = nx.MultiDiGraph()
    for value in graph.inputs:
        made.add_node(value, kind="input")
    for value in graph.initializers.values():
        if value not in made:
            made.add_node(value, kind="initializer")
    readers = [*graph, graph.exit]
    reads = [(reader, slot, value) for reader in readers for slot, value in _reads(reader)]
    for _, _, value in reads:
        if value.scope is not graph:
            made.add_node(value, kind="captured")
    made.add_nodes_from(graph, kind="node")
    made.add_node(graph.exit, kind="exit")
    for reader, slot, value in reads:
        maker = value.producer
        made.add_edge(value if maker is None or maker.graph is not graph else maker, reader, value=value, slot=slot)
    return made


def _reads(node: Node) -> Iterator[tuple[int | None, Value]]:
    """What a node reads: by its slots, then once each what its subgraphs capture."""
    for slot, value in enumerate(node.inputs):
        if value is not None:
            yield slot, value
    captured = dict.fromkeys(value for subgraph in node.subgraphs for value in GraphView(subgraph).captures())
    for value in captured:
        yield None, value
