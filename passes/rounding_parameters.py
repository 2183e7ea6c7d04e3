"""The numbers by which values are brought to a grid and back, computed where they depend on constants alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphopt.ir import Graph, Node
from graphopt.passes.fold_constants import FoldConstants, Folder
from graphopt.pipeline.base import Context

STEPS: Final = frozenset({"Add", "Clip", "Div", "Max", "Min", "Mul", "Sub"})
MOST_BEFORE, MOST_AFTER = 3, 6  # from the division to the rounding, and from there to the product
MOST_MAKERS: Final = 16  # a parameter is cast and reshaped, not computed at length


def fold_rounding_parameters(graph: Graph, context: Context) -> int:
    """Fold what makes the scales, zero points and bounds around each Round, but not the steps themselves; return how much was folded."""
    folder = Folder(FoldConstants(), context)
    for node in context.editor.calls(graph, ("Round",)):
        steps = [*before(node), node, *after(node)]
        for value in dict.fromkeys(value for step in steps for value in step.inputs):
            if value is not None and value.producer is not None and value.producer not in steps:
                for maker in makers(value.producer):
                    folder.visit(maker)
    return folder.changes


def before(node: Node) -> Iterator[Node]:
    """The steps that lead to a node."""
    for _ in range(MOST_BEFORE):
        makers = (value.producer for value in node.inputs if value is not None)
        found = next((maker for maker in makers if maker is not None and maker.op in STEPS), None)
        if found is None:
            return
        node = found
        yield node


def after(node: Node) -> Iterator[Node]:
    """The steps that follow a node, as long as one node alone reads each."""
    for _ in range(MOST_AFTER):
        readers = list(node.output.users)
        if len(readers) != 1 or readers[0].op not in STEPS:
            return
        node = readers[0]
        yield node


def makers(node: Node) -> list[Node]:
    """What a node's result depends on, and the node itself, operands first; nothing when that is much."""
    found: dict[Node, None] = {}
    waiting = [node]
    for _ in range(MOST_MAKERS):
        here = waiting.pop()
        found.pop(here, None)  # whoever is reached again stands before all that read it
        found[here] = None
        waiting += dict.fromkeys(value.producer for value in here.inputs if value is not None and value.producer is not None)
        if not waiting:
            return list(reversed(found))
    return []
