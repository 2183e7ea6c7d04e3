"""Which tensors of a float model are to be quantized, and which of their readers read the quantized numbers.

Every input of a linear operator is, and its output is not: what reads it says so. Everything else stays float, unless a runtime can compute
it on integers and its neighbours are integers already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from graphopt.ir import DType, Graph, Node, Value
from graphopt.passes.calibration_table import Ranges
from graphopt.quantization import is_dequantize, is_quantize
from graphopt.quantization.commutation import COMMUTING
from graphopt.schema import facts
from graphopt.schema.spelling import neutral_attribute, neutral_inputs

LINEAR: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# What runtimes compute on integers of other parameters than those of the result.
UNITS: Final = frozenset({"Add", "AveragePool", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid"})
_FOLLOWERS: Final = frozenset({"BatchNormalization", "Clip", "Relu"})  # a runtime makes them part of a linear operator before them
_RECTIFIERS: Final = frozenset({"Clip", "Relu"})
_REFITTED: Final = _RECTIFIERS | {"Concat", "Max", "Min"}  # the results may span much less, or more, than the first operand
_PROBABILITIES: Final = frozenset({"Sigmoid", "Softmax"})
_READS_INTEGERS: Final = COMMUTING | UNITS | {"exit"}

Told = Callable[[Node, str], None]


@final
@dataclass(frozen=True, slots=True)
class Weights:
    """A constant operand of a linear operator: its input slot, and the axis that has a scale for each index."""

    slot: int
    axis: int | None


@final
@dataclass(slots=True)
class Placement:
    """What is to be quantized in a graph: activations in their order, and the constant operands of each node.

    `chosen` are the nodes all of whose float inputs are quantized. `ranges` holds those of the table.
    """

    graph: Graph
    ranges: Ranges
    fixed: tuple[float, float]
    told: Told
    activations: dict[Value, None] = field(default_factory=dict)
    weights: dict[Node, list[Weights]] = field(default_factory=dict)
    chosen: set[Node] = field(default_factory=set)
    _possible: set[Value] = field(default_factory=set)
    _wanted: set[Value] = field(default_factory=set)
    _groups: dict[Value, Value] = field(default_factory=dict)

    def choose(self) -> None:
        """Decide for every node; linear in the graph."""
        for node in self.graph:
            if node.op in LINEAR and not facts.is_function_call(node):
                self._linear(node)
        for node in self.graph:
            self._note_possible(node)
        for node in reversed(self.graph):
            self._unit(node)
        for node in self.graph:
            if node.op in COMMUTING - _REFITTED:
                for value in node.outputs:
                    self._join(node.inputs[0], value)

    # ---- linear operators

    def _linear(self, node: Node) -> None:
        slots = (0,) if len(node.inputs) < 2 else (0, 1)
        constants: list[Weights] = []
        tensors: list[Value] = []
        for slot in slots:
            value = node.inputs[slot]
            if value is None or is_dequantize(value.producer):
                continue
            why = self._unfit(value)
            if why:
                self.told(node, why)
                return
            if value.const is None:
                tensors.append(value)
            else:
                constants.append(Weights(slot, weight_axis(node, value) if slot == 1 else None))
        if constants or tensors:
            self._choose(node, tensors)
            self.weights[node] = constants

    def _unfit(self, value: Value) -> str:
        """Why a value cannot be quantized; empty when it can."""
        if value.dtype is not DType.float32:
            return f"{value!r} is {value.dtype or 'of an unknown type'}, not float32"
        if value.const is not None:
            return "" if np.isfinite(value.const.numpy()).all() else f"{value!r} is not finite everywhere"
        return "" if self._has_range(value) else f"the calibration table has no range of {value!r}"

    def _has_range(self, value: Value) -> bool:
        return value.name in self.ranges or _made_by(value, _PROBABILITIES)

    def _choose(self, node: Node, tensors: list[Value]) -> None:
        self.chosen.add(node)
        self.activations.update(dict.fromkeys(tensors))
        self._wanted.update(tensors)

    # ---- everything else

    def _note_possible(self, node: Node) -> None:
        """Whether what a node makes comes from integers, if it is quantized."""
        operands = [value for value in node.inputs if value is not None and value.dtype is DType.float32]
        if not operands or facts.is_function_call(node):
            return
        if node.op in LINEAR:
            is_possible = node in self.chosen
        elif node.op in COMMUTING or node.op in UNITS or node.op == "BatchNormalization":
            is_possible = self._is_possible(operands[0]) and (node.op not in UNITS or all(map(self._is_possible, operands)))
        else:
            is_possible = _is_bias(node) and any(self._is_possible(value) and _follows_linear(value) for value in operands)
        if is_possible:
            self._possible.update(node.outputs)

    def _is_possible(self, value: Value) -> bool:
        return value in self._possible or value in self.activations or is_dequantize(value.producer)

    def _unit(self, node: Node) -> None:
        """Choose a node that has a kernel for integers between integers, after all its readers."""
        if facts.is_function_call(node):
            return
        result = rectified(node.output) if node.outputs else None
        if node.op in COMMUTING and any(value in self._wanted for value in node.outputs):
            self._wanted.update(value for value in node.inputs[:1] if value is not None)
        if node.op not in UNITS or result is None or any(value is None or value.const is not None for value in node.inputs):
            return
        operands = [value for value in node.inputs if value is not None]
        is_residual = node.op == "Add" and any(map(_follows_linear, operands)) and self._stays_integer(result)
        if not (is_residual or (result in self._wanted and all(map(self._is_possible, operands)))):
            return
        missing = next(filter(None, (self._unfit(value) for value in (*operands, result) if not is_dequantize(value.producer))), "")
        if missing:
            self.told(node, missing)
            return
        self._choose(node, [*(value for value in operands if not is_dequantize(value.producer)), result])
        if node.op == "Concat":
            for value in operands:
                self._join(value, result)

    def _stays_integer(self, value: Value) -> bool:
        """Whether no reader of a sum needs it as floats."""
        return bool(value.users) and all(reader in self.chosen or reader.op in _READS_INTEGERS for reader in value.users)

    # ---- parameters

    def _join(self, one: Value | None, other: Value) -> None:
        if one is not None and one in self.activations and other in self.activations:
            self._groups[self._leader(one)] = self._leader(other)

    def _leader(self, value: Value) -> Value:
        path = []
        while (above := self._groups.get(value, value)) is not value:
            path.append(value)
            value = above
        self._groups.update(dict.fromkeys(path, value))
        return value

    def shared_ranges(self) -> dict[Value, tuple[float, float]]:
        """The range of each activation: what those that share parameters span together."""
        spans: dict[Value, tuple[float, float]] = {}
        for value in self.activations:
            low, high = self._own_range(value)
            leader = self._leader(value)
            before = spans.get(leader, (low, high))
            spans[leader] = (min(low, before[0]), max(high, before[1]))
        return {value: spans[self._leader(value)] for value in self.activations}

    def _own_range(self, value: Value) -> tuple[float, float]:
        if _made_by(value, _PROBABILITIES):
            return self.fixed
        low, high = self.ranges[value.name]
        return (max(low, 0.0), max(high, 0.0)) if _is_never_negative(value) else (low, high)

    def readers(self, value: Value) -> list[Node]:
        """Which readers of an activation read its quantized numbers, in their order; the graph's outputs are the last.

        The chosen ones, and what passes integers on to such. Others would lose by it; they do where a float that they read keeps a runtime
        from computing the activation on integers.
        """
        maker = next((node for node in (value.producer, _before(value)) if node in self.chosen), None)
        is_made_of_integers = maker is not None or (value.producer is not None and _follows_linear(value))
        allowed = _READS_INTEGERS if is_made_of_integers else frozenset[str]()
        found = [node for node in value.users if node.graph is self.graph and (self._passes_on(node) or node.op in allowed)]
        return sorted((node for node in found if not is_quantize(node)), key=lambda node: node.position)

    def _passes_on(self, node: Node) -> bool:
        return node in self.chosen or (node.op in COMMUTING and any(value in self._wanted for value in node.outputs))


def weight_axis(node: Node, value: Value) -> int | None:
    """The axis of the weights that makes the channels of the result, never one that is summed over; None when there is none."""
    if node.op == "MatMul":
        return 1 if value.rank == 2 else None
    if node.op == "Gemm":
        return 0 if neutral_attribute(node, "transB") else 1
    return 0 if node.op == "Conv" else 1


def rectified(value: Value) -> Value:
    """What a Relu or Clip makes of a value that only it reads; else the value."""
    reader = next(iter(value.users), None)
    if reader is None or len(value.users) > 1 or reader.op not in _RECTIFIERS:
        return value
    return reader.output if reader.inputs[0] is value and reader.graph is value.scope else value


def _before(value: Value) -> Node | None:
    """What makes the operand of the rectifier that makes a value."""
    operand = value.producer.inputs[0] if value.producer is not None and _made_by(value, _RECTIFIERS) else None
    return None if operand is None else operand.producer


def _made_by(value: Value, ops: frozenset[str]) -> bool:
    return value.producer is not None and value.producer.op in ops and not facts.is_function_call(value.producer)


def _is_never_negative(value: Value) -> bool:
    if not _made_by(value, _RECTIFIERS) or value.producer is None:
        return False
    least = (*neutral_inputs(value.producer), None)[1] if value.producer.op == "Clip" else None
    bound = None if least is None or least.const is None else least.const.numpy().astype(np.float64)
    return value.producer.op == "Relu" or (bound is not None and bool((bound >= 0).all()))


def _is_bias(node: Node) -> bool:
    return node.op == "Add" and any(value is not None and value.const is not None for value in node.inputs)


def _follows_linear(value: Value) -> bool:
    """Whether a linear operator makes a value, with nothing after it but its bias, normalization and rectifier."""
    for _ in range(4):
        node = value.producer
        if node is None or facts.is_function_call(node):
            return False
        if node.op in LINEAR:
            return True
        before = next((operand for operand in node.inputs if operand is not None and operand.const is None), None)
        if not (node.op in _FOLLOWERS or _is_bias(node)) or before is None:
            return False
        value = before
    return False
