"""The order of the nodes of a graph, and the numbers that say which of two comes first."""

from __future__ import annotations

from graphopt.ir.graph import Graph, Node, Value

GAP = 1 << 32  # room between the positions of two neighbours when a graph is (re)numbered


def make_room(graph: Graph, node: Node) -> None:
    """Spread the positions around `node` until they fit: O(log n) amortized.

    Source: Bender, Cole, Demaine, Farach-Colton, Zito, "Two simplified algorithms for maintaining order in a list" (2002): widen an
    aligned range of positions until it is sparse enough, then number its nodes evenly.
    """
    first = last = node
    assert node.next is not None and node.previous is not None  # the ring is closed
    anchor = node.next.position
    count, width, capacity = 1, 1, 1.0
    while True:
        width *= 2
        capacity *= 2 / 1.3  # the paper's threshold, 1 < T < 2
        start = anchor - anchor % width
        while first.previous is not graph.exit and first.previous is not None and first.previous.position >= start:
            first, count = first.previous, count + 1
        while last.next is not graph.exit and last.next is not None and last.next.position < start + width:
            last, count = last.next, count + 1
        if count < capacity and width // (count + 1) > 1:
            break
    step = width // (count + 1)
    here: Node | None = first
    position = start
    while here is not None:
        position += step
        here.position = position
        if here is last:
            break
        here = here.next
    if graph.exit.position <= position:
        graph.exit.position = position + GAP


def link(node: Node, graph: Graph, following: Node) -> None:
    """Put a node that is in no graph before another one of a graph."""
    preceding = following.previous
    assert preceding is not None  # the ring is closed
    node.previous, node.next, node.graph = preceding, following, graph
    preceding.next = following.previous = node
    graph.size += 1
    if node.subgraphs:
        graph.owners[node] = None
    low = preceding.position if preceding is not graph.exit else 0
    if following is graph.exit:
        node.position = low + GAP
        graph.exit.position = node.position + GAP
        return
    if following.position - low < 2:
        make_room(graph, node)
        return
    node.position = (low + following.position) // 2


def first_reader(value: Value, graph: Graph) -> Node | None:
    """The first node of a graph that reads a value, itself or from a subgraph; None when only the outputs do."""
    first: Node | None = None
    for node in value.users:
        if node.graph is None or node is graph.exit:
            continue
        here: Node | None = node
        while here is not None and here.graph is not graph:
            here = here.graph.owner if here.graph is not None else None
        if here is not None and here is not graph.exit and (first is None or here.position < first.position):
            first = here
    return first
