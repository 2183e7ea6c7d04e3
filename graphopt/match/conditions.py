"""What compiled matchers ask of values and nodes while they run: small, and free of any knowledge of rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from graphopt.ir.dim import Shape, Size
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.tensor import Tensor

Row: TypeAlias = "tuple[Any, ...]"  # Any: what a pattern binds: values, nodes, attributes, dimensions, tuples

ONCE: Final = (0,)  # a loop that is left by `continue` when a test fails
UNBOUND: Final = object()  # in the place of an optional input that the alternative taken does not speak of
SMALL: Final = 4096  # bytes up to which two constants are compared, so that no weights are read to look for equal ones
# Of a constant that was computed in its own precision the last digits may be off; of a 16-bit float the last one.
SLACK: Final = {DType.float64: 4 * 2.0**-52, DType.float32: 4 * 2.0**-23, DType.float16: 2.0**-10, DType.bfloat16: 2.0**-7}


def has_count(inputs: Sequence[Value | None], low: int, high: int | None) -> bool:
    """Whether there are at least `low` slots and none beyond the first `high` is filled."""
    return len(inputs) >= low and (high is None or not any(inputs[high:]))


def is_number(value: Value, literal: bool | float) -> bool:
    """Whether a value is a constant with one element, of whatever rank, that equals the literal.

    A bool equals only bools. A whole number equals exactly, 0.0 and -0.0 being two. Any other number is rounded to the constant's type
    first, and float32 and float64 may be 4 units of relative precision off, float16 and bfloat16 one. Nothing equals a NaN.
    """
    tensor = value.const
    if tensor is None or any(extent != 1 for extent in tensor.shape):
        return False
    if (tensor.dtype is DType.bool) != isinstance(literal, bool) or tensor.dtype is DType.string:
        return False
    item = tensor.item()
    if not isinstance(item, (bool, int, float)):
        return False
    if float(literal).is_integer():
        return item == literal and math.copysign(1, item) == math.copysign(1, literal)
    return tensor.dtype.is_float and _is_near(float(item), float(literal), tensor.dtype)


def _is_near(item: float, literal: float, dtype: DType) -> bool:
    with np.errstate(over="ignore"):
        rounded = float(np.asarray(literal, dtype=dtype.numpy))
    if math.isinf(rounded) or math.isinf(item):
        return item == literal
    return abs(item - rounded) <= SLACK.get(dtype, 0.0) * abs(rounded)


def is_same(one: Value | None, other: Value | None) -> bool:
    """Whether two slots hold the same value: one value, or two small constants with equal type, shape and bytes."""
    if one is other:
        return True
    if one is None or other is None:
        return False
    left, right = one.const, other.const
    return left is not None and right is not None and left.nbytes <= SMALL and left.same(right)


def is_private(value: Value, graph: Graph) -> bool:
    """Whether a value is read in one slot of one node, and its producer stands in `graph` and makes nothing else that is read.

    An output of the graph is read by its end and a captured value by the subgraph, so that neither is private.
    """
    users = value.users
    if len(users) != 1:
        return False
    for count in users.values():
        if count != 1:
            return False
    producer = value.producer
    if producer is None or producer.graph is not graph:
        return False
    outputs = producer.outputs
    return len(outputs) == 1 or not any(other.users for other in outputs if other is not value)


def is_closed(node: Node, nodes: Sequence[Node], count: int, graph: Graph) -> bool:
    """Whether all readers of a node's outputs are among `nodes`, and they read in no more than `count` slots."""
    if node.graph is not graph:
        return False
    for value in node.outputs:
        for user, slots in value.users.items():
            if user not in nodes:
                return False
            count -= slots
    return count >= 0


def broadcasts_into(shape: Shape | None, target: Sequence[Size]) -> bool:
    """Whether a shape provably broadcasts into another without growing it: at most its rank, each dimension from the right equal or 1."""
    if shape is None or len(shape) > len(target):
        return False
    for i in range(1, len(shape) + 1):
        size = shape[-i]
        if size != 1 and (size is None or size != target[-i]):
            return False
    return True


def is_near_attribute(held: Any, literal: Any) -> bool:  # Any: an attribute may hold any kind
    """Whether an attribute equals a literal in which a number is not whole: such numbers may differ by 1e-6 of them.

    Attributes are float32, which holds about seven digits.
    """
    if isinstance(literal, tuple):
        return isinstance(held, tuple) and len(held) == len(literal) and all(map(is_near_attribute, held, literal))
    if isinstance(literal, float) and not literal.is_integer():
        return isinstance(held, float) and math.isclose(held, literal, rel_tol=1e-6)
    return bool(held == literal)


def is_same_attribute(one: Any, other: Any) -> bool:  # Any: an attribute may hold any kind
    """Whether two attributes hold the same: tensors by their bytes, everything else as Python compares it."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.same(other)
    return bool(one == other)


def picks(terms: tuple[Value, ...]) -> Iterator[tuple[Value, tuple[Value, ...]]]:
    """Each of several values, with the others."""
    for i, term in enumerate(terms):
        yield term, terms[:i] + terms[i + 1 :]


def groupings(root: Node, count: int, stays: bool) -> Iterator[tuple[tuple[Value, ...], tuple[Node, ...]]]:
    """Every tree of calls of the root's operator that ends in it and takes `count` values: these, and its nodes below the root.

    Unless it `stays`, a node below the root is taken only when its result is private to the tree.
    """
    graph = root.graph

    def grow(terms: tuple[Value | None, ...], start: int, inner: tuple[Node, ...]) -> Iterator[Any]:
        if len(terms) == count:
            if None not in terms:
                yield terms, inner
            return
        for i in range(start, len(terms)):
            value = terms[i]
            node = value.producer if value is not None else None
            if node is None or value is None or node.op != root.op or graph is None:
                continue
            if len(node.inputs) == 2 and (stays or is_private(value, graph)):
                yield from grow((*terms[:i], *node.inputs, *terms[i + 1 :]), i, (*inner, node))

    if len(root.inputs) == 2:
        yield from grow(root.inputs, 0, ())


def every(match: Callable[..., Any], values: Sequence[Value | None], state: Row, outer: Row) -> tuple[Row, Row, tuple[Node, ...]] | None:
    """Match each of several inputs, the first way in which it does; dimensions that one binds (`state`) hold for the next.

    Returns the dimensions, one tuple for each name, and all nodes; None when there is no input or one does not match.
    """
    rows: list[Row] = []
    nodes: list[Node] = []
    for value in values:
        found = match(value, *state, *outer)
        if found is None:
            return None
        state, row, inside = found
        rows.append(row)
        nodes += inside
    return (state, tuple(zip(*rows, strict=True)), tuple(nodes)) if rows else None


def readers(value: Value, distance: int, graph: Graph) -> Iterator[Node]:
    """The nodes of a graph that a value reaches over at most `distance` nodes, each once, near before far."""
    seen: dict[Node, None] = {}
    edge = [value]
    for _ in range(distance):
        found = [node for here in edge for node in here.users if node.graph is graph and node is not graph.exit and node not in seen]
        seen.update(dict.fromkeys(found))
        yield from dict.fromkeys(found)
        edge = [output for node in found for output in node.outputs]
