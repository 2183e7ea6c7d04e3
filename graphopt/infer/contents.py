"""What the outputs of one node hold, from what is known of its inputs' contents and shapes."""

from __future__ import annotations

from graphopt.infer import contents_arithmetic, contents_movement
from graphopt.infer.call import NotKnown
from graphopt.infer.contents_arithmetic import ContentsRule, fits
from graphopt.infer.elements import KINDS, MOST_ELEMENTS, Block, Elements, elements
from graphopt.infer.standing import standing_in
from graphopt.ir.dim import element_count
from graphopt.ir.graph import Graph, Node, Value
from graphopt.schema import facts
from graphopt.schema.versions import OLDEST

_RULES: dict[str, ContentsRule] = {**contents_arithmetic.RULES, **contents_movement.RULES}

# The last five: what a rule runs into on inputs or attributes that its operator does not allow; others may complain about such a node.
_NOTHING_KNOWN = (NotKnown, IndexError, KeyError, TypeError, ValueError, OverflowError)


def infer_contents(node: Node, graph: Graph | None = None) -> tuple[Elements | None, ...]:
    """The elements of a node's outputs, one tuple for each; None for an output of which nothing is known. Never raises.

    The outputs must have their types. Row-major; an element that is not known, or that might wrap around in its type, is None. For a call
    of a local function: what its outputs hold for all callers. `graph` says where a node that is in no graph yet shall stand.
    """
    if node.graph is None and graph is not None:
        with standing_in(node, graph):
            return infer_contents(node)
    nothing = (None,) * len(node.outputs)
    graph = node.graph
    if graph is None:
        return nothing
    if graph.model.functions and (function := facts.function_of(node)) is not None:
        held = tuple(map(elements, function.graph.outputs))
        return (*held[: len(nothing)], *nothing[len(held) :])
    rule = contents_rule(node, graph.opsets.get(node.domain))
    return nothing if rule is None else contents_by(rule, node)


def contents_rule(node: Node, opset: int | None) -> ContentsRule | None:
    """What knows the contents of such nodes at this opset of their domain; None when nothing does. Not for calls of local functions."""
    rule = _RULES.get(node.op)
    if rule is None or opset is None or opset < OLDEST or facts.of(node.domain, node.op_type, opset) is None:
        return None
    return rule


def contents_by(rule: ContentsRule, node: Node) -> tuple[Elements | None, ...]:
    """What a rule knows of a node's outputs, which have their types. Never raises."""
    outputs = node.outputs
    if not outputs or (outputs[0].dtype not in KINDS and not any(value.dtype in KINDS for value in outputs)):
        return (None,) * len(outputs)
    try:
        found = rule(node)
    except _NOTHING_KNOWN:
        return (None,) * len(outputs)
    return tuple(map(_checked, outputs, found)) if len(found) == len(outputs) else (None,) * len(outputs)


def _checked(value: Value, found: Block | Elements | None) -> Elements | None:
    """The elements that the operator computes in the type of the value; None unless there are as many as its shape says."""
    dtype = value.dtype
    if found is None or dtype is None or dtype not in KINDS:
        return None
    held: Elements = found if isinstance(found, tuple) else tuple(found.reshape(-1).tolist())
    if len(held) > MOST_ELEMENTS or element_count(value.shape) not in (None, len(held)):
        return None
    if not all(fits(element, dtype) for element in held):
        held = tuple(element if fits(element, dtype) else None for element in held)
    return None if held and held.count(None) == len(held) else held
