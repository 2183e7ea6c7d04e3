"""Ways in which a model grows by a node or two, whatever stands there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np

from graphopt.ir import DType, Editor, Graph, Model, Node, Tensor, TensorType, Value
from graphopt.schema.spelling import CannotSpell, spell
from graphopt.schema.traits import COMMUTATIVE


class CannotGrow(Exception):
    """Nothing here can grow in this way."""


@dataclass(frozen=True)
class Soil:
    """A model that grows, with what it grows by; nothing comes between nodes that are `whole`, and nobody else reads what they pass on."""

    model: Model
    editor: Editor
    random: Random
    whole: frozenset[Node] = frozenset()

    def uses(self) -> list[tuple[Node, int, Value]]:
        """Every place in which a tensor of known type is read: node, slot, value."""
        return [
            (node, slot, value)
            for graph in self.model.graph.walk()
            for node in graph
            for slot, value in enumerate(node.inputs)
            if value is not None and isinstance(value.type, TensorType) and value.const is None
            if node not in self.whole or value.producer not in self.whole
        ]

    def place(self, where: Callable[[Value], bool] = lambda value: True) -> tuple[Node, int, Value]:
        """A place in which such a value is read. Raises CannotGrow."""
        found = [use for use in self.uses() if where(use[2])]
        if not found:
            raise CannotGrow
        return self.random.choice(found)

    def node(self, before: Node, op: str, *inputs: Value | None, **attributes: Any) -> Value:
        """A new node right before another one. Raises CannotGrow where this opset has none."""
        graph = self.graph_of(before)
        try:
            return self.editor.insert(spell(op, inputs, attributes, graph), graph, before).output
        except (CannotSpell, ValueError) as reason:
            raise CannotGrow from reason

    def graph_of(self, node: Node) -> Graph:
        """Where a node stands."""
        if node.graph is None:
            raise CannotGrow
        return node.graph

    def constant(self, before: Node, data: Any, dtype: DType) -> Value:
        """A constant that a node at this place may read."""
        return self.editor.add_constant(self.graph_of(before), Tensor.of(np.array(data, dtype.numpy)), "grown", before)

    def numbers(self, before: Node, numbers: Sequence[int]) -> Value:
        """A vector of int64."""
        return self.constant(before, list(numbers), DType.int64)


FLOATS: Final = (DType.float32, DType.float64, DType.float16)
UNARY: Final = (
    "Abs", "Ceil", "Erf", "Exp", "Floor", "Identity", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Tanh",
)  # fmt: skip
SPECIAL: Final = (0.0, -0.0, 1.0, 1.0, -1.0, 0.5, 2.0, 6.0, 1e-3)


def unary(soil: Soil) -> None:
    """A node that keeps type and shape, once or twice, between two others."""
    reader, slot, value = soil.place(lambda value: value.dtype in FLOATS)
    op = soil.random.choice(UNARY)
    for _ in range(soil.random.choice((1, 1, 2))):
        value = soil.node(reader, op, value)
    soil.editor.set_input(reader, slot, value)


def negation(soil: Soil) -> None:
    """Not, once or twice."""
    reader, slot, value = soil.place(lambda value: value.dtype is DType.bool)
    for _ in range(soil.random.choice((1, 2))):
        value = soil.node(reader, "Not", value)
    soil.editor.set_input(reader, slot, value)


def operand(soil: Soil) -> None:
    """Arithmetic with a number, at either side, often a neutral one."""
    reader, slot, value = soil.place(lambda value: value.dtype in (*FLOATS, DType.int64, DType.int32))
    number = soil.random.choice(SPECIAL if value.dtype in FLOATS else (0, 1, -1, 2, 3))
    shape = soil.random.choice([(), (1,), (1,) * (value.rank or 0)])
    constant = soil.constant(reader, np.full(shape, number), value.dtype or DType.float32)
    op = soil.random.choice(("Add", "Sub", "Mul", "Max", "Min") + (("Div", "Pow") if value.dtype in FLOATS else ()))
    operands = [value, constant]
    if soil.random.random() < 0.3:
        operands.reverse()
    soil.editor.set_input(reader, slot, soil.node(reader, op, *operands))


def movement(soil: Soil) -> None:
    """Nodes that move elements, and back again, or do nothing."""
    reader, slot, value = soil.place(lambda value: value.rank is not None)
    soil.editor.set_input(reader, slot, soil.random.choice(MOVEMENTS)(soil, reader, value))


def _transposed(soil: Soil, reader: Node, value: Value) -> Value:
    perm = soil.random.sample(range(value.rank or 0), value.rank or 0)
    back = [perm.index(axis) for axis in range(len(perm))]
    return soil.node(reader, "Transpose", soil.node(reader, "Transpose", value, perm=perm), perm=back)


def _unsqueezed(soil: Soil, reader: Node, value: Value) -> Value:
    axis = [soil.random.randint(0, value.rank or 0)]
    return soil.node(reader, "Squeeze", soil.node(reader, "Unsqueeze", value, soil.numbers(reader, axis)), soil.numbers(reader, axis))


def _reshaped(soil: Soil, reader: Node, value: Value) -> Value:
    inner = value
    if soil.random.random() < 0.5:
        inner = soil.node(reader, "Reshape", value, soil.numbers(reader, [-1]))
        return soil.node(reader, "Reshape", inner, soil.node(reader, "Shape", value))
    return soil.node(reader, "Reshape", inner, soil.numbers(reader, [0] * (value.rank or 0)))


def _sliced(soil: Soil, reader: Node, value: Value) -> Value:
    if not value.rank:
        raise CannotGrow
    axis = soil.random.randrange(value.rank)
    bounds = [soil.numbers(reader, [bound]) for bound in (0, soil.random.choice((2**63 - 1, 2**31 - 1)), axis)]
    return soil.node(reader, "Slice", value, *bounds)


def _tiled(soil: Soil, reader: Node, value: Value) -> Value:
    return soil.node(reader, "Tile", value, soil.numbers(reader, [1] * (value.rank or 0)))


def _expanded(soil: Soil, reader: Node, value: Value) -> Value:
    return soil.node(reader, "Expand", value, soil.numbers(reader, [1] * soil.random.randint(0, value.rank or 0)))


def _joined(soil: Soil, reader: Node, value: Value) -> Value:
    if not value.rank:
        raise CannotGrow
    return soil.node(reader, "Concat", value, axis=soil.random.randrange(value.rank))


def _cast(soil: Soil, reader: Node, value: Value) -> Value:
    wider = {DType.float32: DType.float64, DType.float16: DType.float32, DType.int32: DType.int64, DType.bool: DType.int32}
    dtype = value.dtype or DType.float32
    if dtype not in wider and dtype not in wider.values():
        raise CannotGrow
    inner = soil.node(reader, "Cast", value, to=int(wider.get(dtype, dtype)))
    return soil.node(reader, "Cast", inner, to=int(dtype))


def _kept(soil: Soil, reader: Node, value: Value) -> Value:
    return soil.node(reader, soil.random.choice(("Identity", "Dropout")), value)


MOVEMENTS: Final = (_transposed, _unsqueezed, _reshaped, _sliced, _tiled, _expanded, _joined, _cast, _kept)


def duplicate(soil: Soil) -> None:
    """A node made again, in the place of the first for one of its readers, or for nobody."""
    nodes = [node for graph in soil.model.graph.walk() for node in graph if not node.subgraphs and len(node.outputs) == 1]
    nodes = [node for node in nodes if node not in soil.whole]
    if not nodes:
        raise CannotGrow
    node = soil.random.choice(nodes)
    inputs = list(node.inputs)
    if node.op in COMMUTATIVE and soil.random.random() < 0.5:
        inputs.reverse()
    copy = Node(node.op_type, inputs, 1, node.attributes, domain=node.domain)
    soil.editor.insert(copy, soil.graph_of(node), node)
    readers = [
        (reader, slot)
        for reader in node.output.users
        for slot, value in enumerate(reader.inputs)
        if value is node.output and reader is not soil.graph_of(reader).exit
    ]
    if readers and soil.random.random() < 0.8:
        reader, slot = soil.random.choice(readers)
        soil.editor.set_input(reader, slot, copy.output)


def exposed(soil: Soil) -> None:
    """An inner value that is an output as well."""
    graph = soil.model.graph
    inner = [node.output for node in graph if len(node.outputs) == 1 and not node.output.is_output]
    found = [value for value in inner if isinstance(value.type, TensorType) and value.producer not in soil.whole]
    if not found:
        raise CannotGrow
    value = soil.random.choice(found)
    names = (*graph.output_names, value.name)
    soil.editor.set_outputs(graph, [*graph.outputs, value])
    graph.output_names = names


def combined(soil: Soil) -> None:
    """Two values of one type and shape, one of them read instead of the other by an operator of both."""
    reader, slot, value = soil.place(lambda value: value.dtype in (*FLOATS, DType.int64))
    graph = soil.graph_of(reader)
    others = [
        other
        for node in graph
        if node is not reader and node not in soil.whole and graph.precedes(node, reader)
        for other in node.outputs
        if other.type == value.type and other.const is None
    ] + [other for other in graph.inputs if other.type == value.type]
    if not others:
        raise CannotGrow
    op = soil.random.choice(("Add", "Mul", "Sub", "Max"))
    soil.editor.set_input(reader, slot, soil.node(reader, op, value, soil.random.choice(others)))


GROWTHS: Final = (unary, unary, negation, operand, operand, movement, movement, movement, duplicate, duplicate, exposed, combined, combined)
