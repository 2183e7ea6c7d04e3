"""Why a test failed, in plain words: what stands in the model and what the pattern wants. Used by `explain` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphopt.ir.dim import Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import EXIT, Graph, Node, Value
from graphopt.match.conditions import is_private
from graphopt.match.language import Call, Chain, Leaf
from graphopt.match.writer import Why
from graphopt.schema import facts
from graphopt.schema.versions import FLATTENING


def node_name(node: Node) -> str:
    """How a node is called in a message: by its own name, else by what it makes."""
    if node.op == EXIT:
        return "the graph's outputs"
    made = next((value.name for value in node.outputs if value.name), "")
    return f"the {node.op} {node.name!r}" if node.name else f"the {node.op} that makes {made!r}" if made else a(node.op)


def value_name(value: Value | None) -> str:
    """How a value is called in a message."""
    if value is None:
        return "an absent input"
    if value.name:
        return repr(value.name)
    return f"output {value.index} of {node_name(value.producer)}" if value.producer is not None else _literal(value)


def _literal(value: Value) -> str:
    tensor = value.const
    if tensor is None:
        return "an unnamed value"
    return f"the constant {tensor.numpy().tolist()}" if tensor.size <= 8 else f"a constant {tensor.dtype}{list(tensor.shape)}"


def a(op: str) -> str:
    """An operator with its article."""
    return f"{'an' if op[0] in 'AEIO' else 'a'} {op}"


def sizes(shape: Sequence[Size | str]) -> str:
    """A shape in a message."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def other_root(op: str) -> Why:
    """The node at hand is no such root."""
    return lambda node: f"{node_name(node)} is no {op}"


def at_newer(opset: int | None) -> str:
    """How a message goes on where a model of another opset, if there is one, would not have stopped the rule."""
    return "" if opset is None else f"; optimize with --opset {opset}"


def no_neutral_form(node: Node) -> str:
    """The node is written for an older opset in which it means something else."""
    why = f"{node_name(node)}, at opset {node.opset}, says what the newest spelling of {node.op} cannot say"
    return f"{why}{at_newer(14 if node.op in FLATTENING else None)}"  # below, their conversion asks for a Reshape that keeps a 0


def other_inputs(low: int, high: int | None, call: Call) -> Why:
    """The number of inputs is not what the pattern lists."""

    def words(node: Node, held: Sequence[Value | None]) -> str:
        wanted = f"{low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
        listed = ", ".join(map(str, call.inputs)) or "none"
        return f"{node_name(node)} has {_plural(_filled(held), 'input')}, the pattern wants {wanted} ({listed})"

    return words


def _filled(inputs: Sequence[Value | None]) -> int:
    return max((slot + 1 for slot, value in enumerate(inputs) if value is not None), default=0)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def absent(slot: str) -> Why:
    """An input that the pattern lists is absent."""
    return lambda node: f"{slot} of {node_name(node)} is absent"


def other_producer(call: Call) -> Why:
    """The value is not made by the operator that the pattern wants."""
    wanted = f"output {call.output} of {a(call.op)}" if call.output else a(call.op)

    def words(value: Value) -> str:
        node = value.producer
        if node is not None:
            if node.op == call.op:
                return f"{value_name(value)} is output {value.index} of {node_name(node)}, not {wanted}"
            return f"{value_name(value)} is made by {a(node.op)}, not by {wanted}"
        what = "an initializer" if value.tensor is not None else "an input of its graph"
        return f"{value_name(value)} is {what}, not made by {wanted}"

    return words


def other_node(value: Value, node: Node) -> str:
    """The pattern has one call twice, the model two nodes."""
    return f"{value_name(value)} is not made by {node_name(node)}, which the pattern has in both places"


def not_private(value: Value, graph: Graph) -> str:
    """Why a value inside the pattern would be missed by somebody, or cannot go."""
    node = value.producer
    if node is None or is_private(value, graph):
        return f"{value_name(value)} is read elsewhere"
    if node.graph is not graph:
        return f"{value_name(value)} is made in another graph than the root of the pattern"
    if value.is_output:
        return f"the {node.op}'s output {value_name(value)} is an output of its graph"
    if value.is_captured:
        return f"the {node.op}'s output {value_name(value)} is captured by a subgraph"
    for other in node.outputs:
        if other is not value and other.users:
            return f"another output of the {node.op}, {value_name(other)}, is read by {_readers(other)}"
    if len(value.users) == 1:
        return f"the {node.op}'s output {value_name(value)} is read in several slots of {_readers(value)}"
    return f"the {node.op}'s output {value_name(value)} has several readers: {_readers(value)}"


def not_closed(node: Node, graph: Graph) -> str:
    """A call that the pattern reads several times is read elsewhere too."""
    if node.graph is not graph:
        return f"{node_name(node)} stands in another graph than the root of the pattern"
    read = ", ".join(_readers(value) for value in node.outputs if value.users)
    return f"what {node_name(node)} makes is read outside the pattern, or more often than the pattern reads it: by {read}"


def _readers(value: Value) -> str:
    return ", ".join(map(node_name, value.users))


def root_inside(root: Node) -> str:
    """Two parts of the pattern that must be different nodes are one."""
    return f"{node_name(root)} would be a root of the pattern and stand inside it at once"


def no_further_root(op: str) -> Why:
    """No further root reads the value that roots share."""
    return lambda value: f"{value_name(value)} is not read by a further {op} in the same graph"


def other_value(name: str) -> Why:
    """The pattern has one value twice, the model two."""
    return lambda value, first: f"the pattern has {name!r} twice; here it is {value_name(first)} once and {value_name(value)} once"


def not_constant(leaf: Leaf) -> Why:
    """The value is no constant, or one that a caller may override."""
    def words(value: Value) -> str:
        called = value_name(value)
        if value.overridable:
            return (
                f"{called} is an overridable initializer: a caller may feed another value; "
                "--initializers-are-constants makes it a constant"
            )
        if value.producer is not None:
            maker = node_name(value.producer) if value.producer.name else a(value.producer.op)  # what it makes is named already
            return f"{called} is computed by {maker}; {leaf} must be a constant"
        return f"{called} is an input of its graph; {leaf} must be a constant"

    return words


def other_number(leaf: Leaf) -> Why:
    """The constant is not the number that the pattern wants."""
    def words(value: Value) -> str:
        tensor = value.const
        if tensor is None:
            return not_constant(leaf)(value)
        if tensor.size != 1:
            return f"{value_name(value)} has the shape {sizes(tensor.shape)}; a scalar {leaf.equals!r} is wanted"
        return f"{value_name(value)} is {tensor.item()!r} ({tensor.dtype}), not {leaf.equals!r}"

    return words


def other_dtype(leaf: object, wanted: frozenset[DType]) -> Why:
    """The element type is not among those wanted."""
    names = ", ".join(dtype.name for dtype in sorted(wanted))
    return lambda value: f"{value_name(value)} is {value.dtype or 'of unknown element type'}; {leaf} must be one of {names}"


def other_rank(leaf: Leaf, rank: int, or_more: bool) -> Why:
    """The rank is not known, or another."""
    wanted = f"{rank} or more" if or_more else str(rank)

    def words(value: Value) -> str:
        if value.shape is None:
            return f"the rank of {value_name(value)} is not known; {leaf} must have rank {wanted}"
        return f"{value_name(value)} has the shape {sizes(value.shape)}; {leaf} must have rank {wanted}"

    return words


def other_dim(leaf: Leaf, dim: str | int) -> Why:
    """A dimension is not known, or not provably what it has to be."""
    def words(value: Value, size: Size, expected: Size = None) -> str:
        shape = f"{value_name(value)} has the shape {sizes(value.shape or ())}"
        if size is None:
            return f"{shape}: dimension {dim} of {leaf} is not known"
        return f"{shape}: {size} is not provably {dim if expected is None else f'{dim} = {expected}'}"

    return words


def grows(leaf: Leaf) -> Why:
    """The value does not provably broadcast into the dimensions given, without growing them."""
    target = ", ".join(map(str, leaf.into or ()))

    def words(value: Value, into: Sequence[Size]) -> str:
        found = "not known" if value.shape is None else sizes(value.shape)
        return f"{leaf} does not provably broadcast into ({target}) = {sizes(into)}: the shape of {value_name(value)} is {found}"

    return words


def condition_fails(subject: str) -> Why:
    """The condition that the author of the rule wrote does not hold."""
    return lambda value: f"the condition of {subject} does not hold of {value_name(value)}"


def other_attribute(call: Call, name: str, wanted: str) -> Why:
    """The attribute is absent, unknown, or has another value."""
    def words(node: Node, held: Any) -> str:  # Any: an attribute may hold any kind
        if repr(held) == "UNKNOWN":
            return f"{name} of {node_name(node)} is given by the caller of the function: nothing is known of it"
        if held is None:
            return f"{node_name(node)} has no {name}; {wanted} is wanted"
        default = "" if name in node.attributes or facts.of_node(node) is None else " (the default)"
        return f"{name} of {node_name(node)} is {held!r}{default}; {wanted} is wanted"

    return words


def too_few(each: object) -> Why:
    """Not all further inputs match."""
    return lambda node: f"not every further input of {node_name(node)} matches {each}, or there is none"


def no_output(index: int) -> Why:
    """The node has fewer outputs."""
    return lambda node: f"{node_name(node)} has no output {index}"


def other_graph(node: Node) -> str:
    """The node is in another graph than the first root."""
    return f"{node_name(node)} stands in another graph than the root of the pattern"


def no_grouping(chain: Chain) -> Why:
    """There is no chain of that many operands."""
    count = len(chain.operands)
    return lambda node: (
        f"{node_name(node)} is not the end of a chain of {chain.op} with {count} operands whose inner results nobody else reads"
    )
