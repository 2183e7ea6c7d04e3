"""Types and contents downstream of an edit that made more known."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TypeAlias

from graphopt.infer.contents import infer_contents
from graphopt.infer.elements import refined_elements
from graphopt.infer.model import named
from graphopt.infer.node import infer_node
from graphopt.infer.refine import refined
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.types import TensorType

Place: TypeAlias = tuple[float, ...]

_AFTER = float("inf")  # a node comes after all that its subgraphs hold


def update_types(nodes: Iterable[Node], editor: Editor) -> int:
    """Infer again what these nodes make, and what is made of that as far as it comes out better known; returns how many values did.

    Only the main graph and the branches of its Ifs: what a loop or a function makes holds for all rounds and callers, and is inferred as a
    whole (`infer_model`). Nothing that was known is lost. Cost: the nodes looked at, times the logarithm of how many wait.
    """
    waiting: list[tuple[Place, int, Node]] = []
    queued: set[Node] = set()
    learned = 0

    def enqueue(node: Node) -> None:
        if node.graph is not None and node is node.graph.exit:  # what a branch returns is what the If gives
            node = node.graph.owner or node
        if node not in queued and (place := _place(node)) is not None:
            queued.add(node)
            heappush(waiting, (place, len(queued), node))

    for node in nodes:
        enqueue(node)
    while waiting:
        _, _, node = heappop(waiting)
        queued.discard(node)
        if node.graph is None:
            continue
        for value in _better(node, editor):
            learned += 1
            for reader in value.users:
                enqueue(reader)
    return learned


def _better(node: Node, editor: Editor) -> list[Value]:
    """The outputs of a node of which more is known than before; they know it now."""
    found: list[Value] = []
    is_main = node.graph is not None and node.graph is node.graph.model.graph
    for value, type in zip(node.outputs, infer_node(node), strict=True):
        better = refined(value.type, type)
        if is_main and isinstance(better, TensorType):
            better = named(better, value.name)
        if better != value.type:
            editor.set_type(value, better)
            found.append(value)
    for value, held in zip(node.outputs, infer_contents(node), strict=True):
        contents = refined_elements(value.contents, held)
        if contents != value.contents:
            value.contents = contents
            editor.learned(value)
            found.append(value)
    return list(dict.fromkeys(found))


def _place(node: Node) -> Place | None:
    """Where a node stands: the places of the nodes around it, outermost first; None when it runs more than once, or is at the end."""
    graph: Graph | None = node.graph
    if graph is None or node is graph.exit:
        return None
    place: list[float] = [node.position, _AFTER]
    while graph.owner is not None:
        owner = graph.owner
        if owner.op != "If" or owner.graph is None:
            return None
        place = [owner.position, owner.subgraphs.index(graph), *place]
        graph = owner.graph
    return tuple(place) if graph is graph.model.graph else None
