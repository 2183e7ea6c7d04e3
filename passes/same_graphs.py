"""Whether two subgraphs compute the same."""

from __future__ import annotations

from graphopt.ir import Graph, Node, Value
from graphopt.passes.eliminate_common_subexpressions import content_of


def compute_the_same(one: Graph, other: Graph, known: dict[Value, Value]) -> bool:
    """Whether two graphs have the same nodes in the same order, with equal constants; `known` says which values are the same so far.

    What stands around them is the same for both. It ends at the first difference; weights are read when nothing else differs before them.
    """
    if len(one) != len(other) or len(one.inputs) != len(other.inputs) or len(one.outputs) != len(other.outputs):
        return False
    if any(value.overridable for value in (*one.inputs, *other.inputs)):
        return False
    known.update(zip(one.inputs, other.inputs, strict=True))
    if not all(_same_call(a, b, known) for a, b in zip(one, other, strict=True)):
        return False
    return all(_same_value(a, b, known) for a, b in zip(one.outputs, other.outputs, strict=True))


def _same_call(one: Node, other: Node, known: dict[Value, Value]) -> bool:
    if (one.op, one.overload, len(one.inputs), len(one.outputs)) != (other.op, other.overload, len(other.inputs), len(other.outputs)):
        return False
    if one.attributes.keys() != other.attributes.keys():
        return False
    if not all(_same_value(a, b, known) for a, b in zip(one.inputs, other.inputs, strict=True)):
        return False
    for name, held in one.attributes.items():
        mine, theirs = held.graphs(), other.attributes[name].graphs()
        if len(mine) != len(theirs) or not all(compute_the_same(a, b, known) for a, b in zip(mine, theirs, strict=True)):
            return False
        if not mine and ((content := content_of(held)) is None or content != content_of(other.attributes[name])):
            return False
    if [bool(value.name) for value in one.outputs] != [bool(value.name) for value in other.outputs]:
        return False
    known.update(zip(one.outputs, other.outputs, strict=True))
    return True


def _same_value(one: Value | None, other: Value | None, known: dict[Value, Value]) -> bool:
    if one is None or other is None:
        return one is other
    if one in known:
        return known[one] is other
    if one is other:
        return True
    mine, theirs = one.const, other.const
    if mine is None or theirs is None or one.producer is not None or other.producer is not None:
        return False
    return mine.same(theirs)
