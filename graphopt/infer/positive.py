"""Sizes that are at least 1 in every run that comes to a result: with 0, a node that always runs would fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphopt.infer.call import NotKnown, integer
from graphopt.infer.elements import constant_ints, elements
from graphopt.infer.shapes import bounds
from graphopt.ir.dim import Dim, Size
from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model


def is_positive(size: Size, node: Node) -> bool:
    """Whether a size is at least 1 in every run of the node's model that comes to a result.

    Where it hangs on symbols of which that is not known, the model remembers that the node doubted them.
    """
    least, _ = bounds(size)
    if least is not None and least > 0:
        return True
    if not isinstance(size, Dim) or node.graph is None or size.constant < 0 or any(coefficient < 0 for _, coefficient in size.terms):
        return False
    model = node.graph.model
    for product, _ in size.terms:
        if all(isinstance(factor, str) and factor in model.positive for factor in product):
            return True
    model.doubted.setdefault(node, set()).update(name for name in size.symbols if name not in model.positive)
    return False


def positive_symbols(node: Node) -> set[str]:
    """The symbols that are not 0 if this node of the main graph comes to a result. Never raises."""
    try:
        sizes = list(_RULES[node.op](node)) if node.op in _RULES else []
    except NotKnown:
        return set()
    found: set[str] = set()
    for size in sizes:
        if isinstance(size, Dim) and not size.constant and len(size.terms) == 1:  # a product is not 0 when no factor is
            found.update(factor for factor in size.terms[0][0] if isinstance(factor, str))
    return found


def _of_reshape(node: Node) -> Iterator[Size]:
    """Entries that, were they 0, would copy a size that is not there, or stand beside -1 as a size of 0.

    Source: ONNX Reshape-14: "the dimension value ... is copied from the input tensor", and -1 "is inferred from ... the remaining
    dimensions"; runtimes and numpy refuse to divide by 0. With allowzero onnxruntime does not, so nothing is said.
    """
    operand, wanted = node.input(0), elements(node.input(1))
    if operand is None or operand.shape is None or wanted is None or integer(node, "allowzero"):
        return
    for axis, entry in enumerate(wanted):
        if axis >= len(operand.shape):
            yield entry
        elif -1 in wanted and entry in (0, operand.shape[axis]):
            yield operand.shape[axis]


def _of_gather(node: Node) -> Iterator[Size]:
    """The axis from which a constant index takes something. Source: ONNX Gather-13: an index out of bounds is an error."""
    operand, indices = node.input(0), constant_ints(node.input(1))
    if operand is None or operand.shape is None or not indices:
        return
    axis = integer(node, "axis")
    if -len(operand.shape) <= axis < len(operand.shape):
        yield operand.shape[axis]


def _of_broadcast(node: Node) -> Iterator[Size]:
    """A size against what Reshape copies in its place should it be 0: a number above 1 and 0 do not broadcast."""
    if node.graph is None or not node.graph.model.copies or len(node.inputs) != 2:
        return
    one, other = (() if value is None or value.shape is None else value.shape for value in node.inputs)
    for pair in zip(reversed(one), reversed(other), strict=False):
        for copied, size in (pair, pair[::-1]):
            if isinstance(copied, Dim) and copied.name is not None and node.graph.model.copies.get(copied.name) == size:
                yield size


def note_copies(node: Node) -> None:
    """Remember of a Reshape of the main graph which sizes of its result are an entry, or else, were that 0, a number above 1.

    A size that is not known has a symbol of its own: it goes into the model's `copies`, with the entry.
    """
    operand, wanted, result = node.input(0), elements(node.input(1)), node.output.shape
    if operand is None or operand.shape is None or wanted is None or result is None or node.graph is None or integer(node, "allowzero"):
        return
    for axis, (entry, size) in enumerate(zip(wanted, result, strict=False)):
        if isinstance(entry, Dim) and isinstance(size, Dim) and size.name == f"?{node.output.name}.{axis}" and axis < len(operand.shape):
            own, (least, _) = operand.shape[axis], bounds(entry)
            if isinstance(own, int) and own > 1 and least == 0:
                node.graph.model.copies[size.name] = entry


_RULES = {
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), _of_broadcast),
    "Gather": _of_gather,
    "Reshape": _of_reshape,
}
CAN_FAIL: Final = frozenset(_RULES)


def needed(graph: Graph) -> set[Node]:
    """The nodes that the outputs of a graph depend on: a runtime may leave out all others, and what fails in them.

    What only the shape is read of is not needed: where that is known, nobody computes it.
    """
    found: set[Node] = {graph.exit}
    for node in reversed(graph):
        readers = (reader for value in node.outputs for reader in value.users if reader.op not in ("Shape", "Size"))
        if any(_within(reader, graph) in found for reader in readers):
            found.add(node)
    return found


def asking(model: Model, learned: set[str]) -> set[Node]:
    """The nodes of the main graph that doubted symbols of which more was learned, or hold nodes that did; their doubts are forgotten.

    The end of the graph stands for nodes of functions.
    """
    asked = [node for node, names in model.doubted.items() if not names.isdisjoint(learned)]
    for node in asked:
        del model.doubted[node]
    return {_within(node, model.graph) or model.graph.exit for node in asked}


def _within(node: Node, graph: Graph) -> Node | None:
    """The node of `graph` that is, or holds, a reader."""
    here: Node | None = node
    while here is not None and here.graph is not graph:
        here = None if here.graph is None else here.graph.owner
    return here
