"""Reshape between permuted tensors: where it keeps the axes that change places apart, or only axes of extent 1 do."""

from __future__ import annotations

from itertools import accumulate, pairwise

from graphopt.infer.shapes import multiply, product
from graphopt.ir import Node, Shape
from graphopt.passes.axis_order import Passage, Perm, integers, inverse, made, moves_units_only, permuted, vector, with_constants
from graphopt.patterns.shape_arguments import target_of
from graphopt.schema.spelling import neutral_attribute

Span = range  # axes that stand beside each other


def reshape(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """Reshape(x, shape) with a constant shape."""
    value, entries = node.input(0), integers(node.input(1))
    given, result = None if value is None else value.shape, node.output.shape
    if slot not in (0, None) or entries is None or given is None or result is None or None in result or 0 in result:
        return None
    orders: tuple[Perm | None, Perm | None]
    if moves_units_only(perm, given if slot == 0 else result):
        orders = (perm, None) if slot == 0 else (None, perm)
    else:
        spans = _spans(given, result)
        found = None if spans is None else _order(perm, [pair[slot != 0] for pair in spans])
        if spans is None or found is None:
            return None
        orders = (_flat(found, [before for before, _ in spans]), _flat(found, [after for _, after in spans]))
    return _respelled(node, entries, given, result, orders)


def _respelled(node: Node, entries: Perm, given: Shape, result: Shape, orders: tuple[Perm | None, Perm | None]) -> Passage | None:
    read = given if orders[0] is None else permuted(given, orders[0])
    order = tuple(range(len(result))) if orders[1] is None else orders[1]
    graph = node.graph
    rest = order.index(entries.index(-1)) if -1 in entries and not neutral_attribute(node, "allowzero") else None
    wanted = permuted(result, order)
    positive = () if graph is None else graph.model.positive
    target = target_of(read, wanted, wanted, rest, positive)
    if isinstance(target, str):
        return None
    return with_constants(made((orders[0],), (orders[1],), node, allowzero=None), {1: vector(target)})


def flatten(node: Node, perm: Perm, slot: int | None) -> Passage | None:
    """Flatten(x, axis): what it reads may have axes of extent 1 elsewhere."""
    value, axis = node.input(0), neutral_attribute(node, "axis")
    shape = None if value is None else value.shape
    if slot != 0 or shape is None or not isinstance(axis, int) or not moves_units_only(perm, shape):
        return None
    read = permuted(shape, perm)
    if _matrix(shape, axis) != _matrix(read, axis) or None in _matrix(read, axis):
        return None
    return made((perm,), (None,), node)


def _matrix(shape: Shape, axis: int) -> Shape:
    return product(shape[:axis]), product(shape[axis:])


def _spans(given: Shape, result: Shape) -> list[tuple[Span, Span]] | None:
    """Which axes of the result are made of which of the operand: the shortest runs that hold the same number of elements.

    Equal as polynomials: then they are for every size, 0 included, though the sizes before them may be 0.
    """
    if None in given or 0 in given or not given or not result:
        return None
    shorter = min(len(given), len(result)) - 1
    front = next((axis for axis in range(shorter) if given[axis] != result[axis]), shorter)
    cuts = [(axis, axis) for axis in range(front + 1)]
    before, after = (list(accumulate(shape[front:], multiply)) for shape in (given, result))
    if before[-1] is None or before[-1] != after[-1]:
        return None
    place = 0
    for end, size in enumerate(before[:-1], 1):
        found = next((at for at in range(place, len(after) - 1) if after[at] == size), None)
        if found is not None and size is not None:
            place = found + 1
            cuts.append((front + end, front + place))
    cuts.append((len(given), len(result)))
    return [(range(one[0], other[0]), range(one[1], other[1])) for one, other in pairwise(cuts)]


def _order(perm: Perm, spans: list[Span]) -> Perm | None:
    """The order of the spans when the axes are in this one; None when one is torn apart or ordered in itself."""
    place, found = inverse(perm), []
    for number, span in enumerate(spans):
        if any(place[axis + 1] != place[axis] + 1 for axis in span[:-1]):
            return None
        found.append((place[span[0]], number))
    return tuple(number for _, number in sorted(found))


def _flat(order: Perm, spans: list[Span]) -> Perm:
    return tuple(axis for number in order for axis in spans[number])
