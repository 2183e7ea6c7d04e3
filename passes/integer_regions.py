"""Tensors of integers that hold the same numbers under other names: regions in which all may be stored in another type, shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from graphopt.infer import typed
from graphopt.ir import DType, Graph, Node, Tensor, TensorType, Value
from graphopt.ir.tensor import Array
from graphopt.pipeline.base import Context
from graphopt.quantization import (
    DEQUANTIZE,
    QUANTIZE,
    indexing,
    is_dequantize,
    is_quantize,
    limits,
    movement,
    ordering,
    quantization_of,
)
from graphopt.quantization.call import Call
from graphopt.quantization.flow import Unclear
from graphopt.schema import facts
from graphopt.schema.older import CannotSpell, constant
from graphopt.schema.spelling import has_neutral_form, neutral_attributes, neutral_inputs, spell

_RULES: Final = {**movement.RULES, **indexing.RULES, **ordering.RULES}
_REFUSALS: Final = (Unclear, CannotSpell, ValueError, IndexError, TypeError)  # the last three of numpy, for operands that do not fit


@final
@dataclass(eq=False, slots=True)
class Region:
    """Integers of one type that go from QuantizeLinear, or from constants, through operators that move or order them.

    `nodes` in the order in which they were found; a None says that it quantizes or dequantizes. `refusal`: why it cannot be stored
    otherwise.
    """

    graph: Graph
    values: dict[Value, None] = field(default_factory=dict)
    nodes: dict[Node, Call | None] = field(default_factory=dict)
    refusal: str = ""

    @property
    def is_quantized(self) -> bool:
        """Whether any of it is made when the model runs."""
        return any(is_quantize(node) for node in self.nodes)

    @property
    def root(self) -> Node:
        """The first of its nodes."""
        return min(self.nodes, key=lambda node: node.position)


def regions(graph: Graph, dtype: DType, context: Context) -> list[Region]:
    """All regions of a type in a graph and the graphs inside it; each node and each value is looked at once."""
    seen: set[Node] = set()
    found: list[Region] = []
    for node in context.editor.calls(graph, (*QUANTIZE, *DEQUANTIZE)):
        value = node.output if is_quantize(node) else node.inputs[0]
        if value is None or stored_type(node, value) is not dtype or node in seen or node.graph is None or facts.is_function_call(node):
            continue
        region = Region(node.graph)
        _grow(region, node)
        seen.update(region.nodes)
        found.append(region)
    return found


def stored_type(node: Node, value: Value) -> DType | None:
    """The element type of what a node quantizes or dequantizes: that of its zero point where inference knows no other."""
    zero = node.input(2)
    return value.dtype if value.dtype is not None or zero is None else zero.dtype


def _grow(region: Region, first: Node) -> None:
    left: list[Value] = []
    _enter(region, first, left)
    while left:
        value = left.pop()
        if value in region.values:
            continue
        region.values[value] = None
        if value.producer is None:
            region.refusal = region.refusal or f"{value!r} is what a caller supplies"
        else:
            _enter(region, value.producer, left)
        for reader in value.users:
            _enter(region, reader, left)


def _enter(region: Region, node: Node, left: list[Value]) -> None:
    """Take a node into a region, with the integers around it."""
    if node in region.nodes:
        return
    if node.graph is not region.graph or node is region.graph.exit:
        region.refusal = region.refusal or "a caller, or a graph inside, reads it"
        return
    if is_quantize(node) or is_dequantize(node):
        region.nodes[node] = None
        around: Sequence[Value | None] = (node.output if is_quantize(node) else node.inputs[0],)
    else:
        call = call_of(node)
        if isinstance(call, str):
            region.refusal = region.refusal or call
            return
        region.nodes[node] = call
        inputs = neutral_inputs(node)
        around = (*(inputs[slot] for slot in call.data), *(node.outputs[index] for index in call.results if index < len(node.outputs)))
    left.extend(value for value in around if value is not None and value.const is None and value.name)


def call_of(node: Node) -> Call | str:
    """What an operator does with integers that could as well be others in the same order; in words, why that is not known."""
    if node.op not in _RULES or facts.is_function_call(node) or not has_neutral_form(node):
        return f"{node.op} reads or makes the integers themselves"
    try:
        call = _RULES[node.op](node)
    except _REFUSALS as reason:
        return str(reason)
    if any(held.is_raw for held in call.carried):
        return f"{node.op} writes 0"
    return call


def convert_regions(
    name: str, graph: Graph, context: Context, dtype: DType, to: DType, *, weights: bool, zero_point: int | None = None
) -> int:
    """Store all regions of one type in another where nothing forbids it, and all zero points are the one that is asked for.

    Returns how many were converted. `weights`: also those in which nothing is quantized.
    """
    shift = round(limits(to)[0] - limits(dtype)[0])
    changes = 0
    for region in regions(graph, dtype, context):
        if not (weights or region.is_quantized):
            continue
        shifted = Shifted(region, to, shift)
        refusal = region.refusal or _other_zero_point(region, zero_point)
        try:
            if not refusal:
                shifted.build()
        except CannotSpell as reason:
            refusal = str(reason)
        if context.allows(name, region.root, refusal or None):
            shifted.commit(context, name)
            changes += 1
    return changes


def _other_zero_point(region: Region, wanted: int | None) -> str:
    """Why zero points are not all the one that is wanted; empty when they are, or any will do."""
    if wanted is None:
        return ""
    for node, call in region.nodes.items():
        by = quantization_of(node) if call is None else None
        if isinstance(by, str) or (by is not None and (by.zero_point != wanted).any()):
            return by if isinstance(by, str) else f"a zero point is not {wanted}"
    return ""


@final
class Shifted:
    """A region in another type, built in no graph, then put in its place."""

    def __init__(self, region: Region, to: DType, shift: int) -> None:
        self.region, self.to, self.shift = region, to, shift
        self.graph = region.graph
        self.made: list[tuple[Node, Node]] = []  # a new node, and the one in whose place it goes
        self.values: dict[Value, Value] = {}

    def build(self) -> None:
        """Make every node. Raises CannotSpell."""
        for node in sorted(self.region.nodes, key=lambda node: node.position):
            call = self.region.nodes[node]
            new = self._quantizing(node) if call is None else self._moving(node, call)
            for made in new:
                if (why := facts.accepts(made, self.graph)) is not None:
                    raise CannotSpell(why)
                for held in made.inputs:
                    if held is not None and held.is_detached and (why := facts.refuses_constant(self.graph, held.type)) is not None:
                        raise CannotSpell(why)
                self.made.append((made, node))
            for old, value in zip(node.outputs, new[-1].outputs, strict=False):
                self.values[old] = value

    def _quantizing(self, node: Node) -> list[Node]:
        by = quantization_of(node)
        if isinstance(by, str):
            raise CannotSpell(by)
        operand, scale, zero = node.inputs[0], node.inputs[1], node.input(2)
        assert operand is not None and scale is not None  # its parameters are known
        attributes = neutral_attributes(node)
        if is_quantize(node):
            attributes.pop("output_dtype", None)  # the zero point says it
        else:
            operand = self.operand(operand)
        if zero is not None:
            held = self.operand(zero)
        else:
            held = constant(Tensor.of(self.shifted(by.zero_point).reshape(scale.const.shape if scale.const else ()), self.to), "zero_point")
        made = spell(node.op_type, (operand, scale, held), attributes, self.graph, domain=node.domain)
        made.output.type = TensorType(self.to, node.output.shape) if is_quantize(node) else node.output.type
        return [made]

    def _moving(self, node: Node, call: Call) -> list[Node]:
        inputs = list(neutral_inputs(node))
        operands = {slot: self.operand(value) for slot in call.data if (value := inputs[slot]) is not None}
        constants = {held.slot: Tensor.of(self.shifted(held.elements), self.to) for held in call.carried}
        if call.form is not None:
            made = call.form(node, operands, constants, self.graph)
        else:
            inputs += [None] * (1 + max(constants, default=-1) - len(inputs))
            for slot, tensor in constants.items():
                given = inputs[slot]
                operands[slot] = constant(tensor) if given is None or given.const is None else self.operand(given)
            for slot, held in operands.items():
                inputs[slot] = held
            made = [spell(node.op_type, inputs, neutral_attributes(node), self.graph, outputs=len(node.outputs))]
        for new in made:
            typed(new, self.graph)
        for index, old in enumerate(node.outputs[: len(made[-1].outputs)]):
            made[-1].outputs[index].type = TensorType(self.to, old.shape) if index in call.results else old.type
        return made

    def operand(self, value: Value) -> Value:
        """What holds a value, shifted."""
        if value not in self.values:
            assert value.const is not None  # all others are made in the region
            held = value.const
            self.values[value] = constant(Tensor.of(self.shifted(held.numpy()), self.to), value.name)
        return self.values[value]

    def shifted(self, elements: Array) -> Array:
        """Integers in the other type."""
        made: Array = (elements.astype(np.int16) + self.shift).astype(self.to.numpy)
        return made

    def commit(self, context: Context, name: str) -> None:
        """Insert what was built, let everybody read it, and take out what it replaces."""
        editor, root = context.editor, self.region.root
        for new, old in self.made:
            new.rule, new.metadata, new.replaces = name, dict(old.metadata), old.stands_for
            if new.output is self.values.get(old.output):
                new.name, new.doc = old.name, old.doc
            editor.insert(new, self.graph, old)
        replaced: Mapping[Node, None] = dict.fromkeys(old for _, old in self.made)
        for old in replaced:
            for value in old.outputs:
                if (new_value := self.values.get(value)) is None or not value.name:
                    continue
                is_renamed = not value.is_output
                editor.replace(value, new_value)
                if is_renamed:
                    editor.exchange_names(value, new_value)
        for old in sorted(replaced, key=lambda node: -node.position):
            editor.erase(old)
            for operand in old.inputs:
                if operand is not None and operand.is_initializer and editor.may_drop_initializer(operand):
                    heir = self.values.get(operand)
                    editor.drop_initializer(operand, heir if heir is not None and heir.graph is operand.graph else None)
        context.observer.applied(name, root, tuple(new for new, _ in self.made))
