"""Types of all values of a model."""

from __future__ import annotations

from typing import Protocol

from graphopt.infer import control
from graphopt.infer.call import InferenceRule, Types
from graphopt.infer.node import fitting, inference_of
from graphopt.infer.shapes import contradicts, join, without_symbols
from graphopt.ir.collector import collector_resting
from graphopt.ir.dim import Dim
from graphopt.ir.dtype import DType
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Function, Model
from graphopt.ir.types import SequenceType, TensorType, Type
from graphopt.schema import facts


class Listener(Protocol):
    """Whoever wants to know what is wrong with a model: an `observe.Observer` does."""

    def warned(self, source: str, message: str) -> None:
        """Something a user should know, that stops nothing."""
        ...


def infer_model(model: Model, observer: Listener | None = None) -> None:
    """Fill in the type of every value of the main graph, of its subgraphs and of the functions that are called, where it can be proved.

    The types that the model declares for its inputs are taken as true. What it declares of other values is taken only where an unknown
    operator makes them; where it contradicts what follows from the inputs, the observer is warned. A size of the main graph that is not
    known gets a symbol of its own, so that what is computed from it is provably as long. Inside a function a value has the type that
    it has for all callers. Never raises; cost is linear in the nodes, times the depth to which loops are nested.
    """
    walk = _Walk(observer)
    with collector_resting():
        _infer(model, walk)


def _infer(model: Model, walk: _Walk) -> None:
    for value in model.graph.inputs:
        if isinstance(value.type, TensorType):
            value.type = named(value.type, value.name) if value.type.dtype else None
    walk.graph(model.graph)
    walk.finish()


_MOST_ROUNDS = 4  # a size that differs from one round of a loop to the next is unknown in the one after; so little more is needed
_MOST_WARNINGS = 8


class _Walk:
    """One run over a model. `calls` keeps what each kind of call of a function gave, `inside` what all calls agree on.

    `declared` holds what the model said of the values of bodies that are looked at more than once.
    """

    def __init__(self, observer: Listener | None) -> None:
        self.observer = observer
        self.calls: dict[tuple[object, ...], Types] = {}
        self.inside: dict[Function, dict[Value, Type | None]] = {}
        self.active: list[Function] = []
        self.declared: dict[Value, Type | None] = {}
        self.warnings: dict[Value, str] = {}

    def graph(self, graph: Graph) -> None:
        """Every node of a graph, whose inputs have their types."""
        for value in graph.initializers.values():
            if value.tensor is not None and not value.overridable:
                value.type = TensorType(value.tensor.dtype, value.tensor.shape)
        opsets, functions = graph.opsets, graph.model.functions
        is_main = graph is graph.model.graph
        inferences: dict[str, InferenceRule] = {}
        for node in graph:
            if node.attributes and node.subgraphs:
                self._bodies(node)
            if functions and (function := facts.function_of(node)) is not None:
                types = self._call(node, function)
            else:
                infer = inferences.get(node.op)
                if infer is None:
                    infer = inferences[node.op] = inference_of(node, opsets.get(node.domain))
                types = infer(node)
            for value, type in zip(node.outputs, types, strict=True):
                if is_main and isinstance(type, TensorType) and type.shape is not None and None in type.shape:
                    type = named(type, value.name)
                if value.type is None and type is not None:
                    value.type = type
                elif value.type is not type:
                    self._settle(value, type)

    def finish(self) -> None:
        """Give the values inside functions what all callers agree on, and say what was contradicted."""
        for types in self.inside.values():
            for value, type in types.items():
                value.type = type
        if self.observer is not None:
            for value, message in list(self.warnings.items())[:_MOST_WARNINGS]:
                self.observer.warned("infer", f"{value!r}: {message}")
            if len(self.warnings) > _MOST_WARNINGS:
                more = len(self.warnings) - _MOST_WARNINGS
                self.observer.warned("infer", f"{more} more values are declared otherwise than they come out")

    def _settle(self, value: Value, type: Type | None) -> None:
        """What becomes of a declared type once another, or nothing, was inferred."""
        declared = self.declared.get(value, value.type)
        if type is None:
            node = value.producer
            kept = _without_claims(declared) if node is not None and _is_opaque(node) else None
            is_main = value.scope is not None and value.scope is value.scope.model.graph
            value.type = named(kept, value.name) if is_main and isinstance(kept, TensorType) else kept
            return
        if declared is not None and contradicts(declared, type):
            self.warnings[value] = f"the model declares {declared}, it comes out as {type}"
        value.type = type

    def _remember(self, body: Graph) -> None:
        """Keep what the model declares inside a body, which will be looked at again."""
        if body.inputs and body.inputs[0] in self.declared:
            return
        for graph in body.walk():
            for value in _values(graph):
                self.declared.setdefault(value, value.type)

    def _bodies(self, node: Node) -> None:
        for graph in node.subgraphs:
            if node.op != "If":
                self._remember(graph)
            given = control.body_types(node, graph)
            for value, type in zip(graph.inputs, given, strict=False):
                self._enter(value, type)
            for _ in range(_MOST_ROUNDS):
                self.graph(graph)
                if not self._go_round(node, graph):
                    break
            else:
                for value, type in zip(graph.inputs, control.carried_types(node, graph) or (), strict=False):
                    value.type = TensorType(value.type.dtype) if isinstance(value.type, TensorType) and type is not None else value.type
                self.graph(graph)

    def _go_round(self, node: Node, graph: Graph) -> bool:
        """Whether a loop's body gives a type that its inputs must allow for, and did not; they do now."""
        changed = False
        for value, type in zip(graph.inputs, control.carried_types(node, graph) or (), strict=False):
            if value.type is not None and type is not None:
                both = join(value.type, type)
                if both != value.type:
                    value.type, changed = both, True
            elif value.type is not None and node.op in ("Loop", "Scan") and value in _carried(node, graph):
                value.type, changed = _kind_of(value.type), changed or _kind_of(value.type) != value.type
        return changed

    def _enter(self, value: Value, type: Type | None) -> None:
        """The type of a subgraph's input: what is passed, else the kind that is declared, without sizes that may be another scope's.

        Where the two contradict each other the shape is not known: onnxruntime passes a Loop's counter in the rank that is declared.
        """
        declared = self.declared.get(value, value.type)
        value.type = _kind_of(declared if type is None else type) if type is None or contradicts(type, declared) else type

    def _call(self, node: Node, function: Function) -> Types:
        if function in self.active:
            return (None,) * len(node.outputs)  # onnx forbids recursion
        given = tuple(None if value is None else value.type for value in node.inputs)
        key = (function, given)
        if key not in self.calls:
            self.active.append(function)
            self._remember(function.graph)
            for index, value in enumerate(function.graph.inputs):
                value.type = given[index] if index < len(given) else None
            self.graph(function.graph)
            self.calls[key] = tuple(value.type for value in function.graph.outputs)
            self._agree(function)
            self.active.pop()
        return fitting(self.calls[key], len(node.outputs))

    def _agree(self, function: Function) -> None:
        """Join what the values inside are for this caller with what they were for the others."""
        known = self.inside.setdefault(function, {})
        for graph in function.graph.walk():
            for value in _values(graph):
                known[value] = join(known[value], value.type) if value in known else value.type


def _values(graph: Graph) -> list[Value]:
    return [*graph.inputs, *(value for node in graph for value in node.outputs)]


def _carried(node: Node, graph: Graph) -> list[Value]:
    if node.op == "Loop":
        return graph.inputs[1:]
    count = node.attribute("num_scan_inputs")
    return graph.inputs[: len(graph.inputs) - count] if isinstance(count, int) else []


def _is_opaque(node: Node) -> bool:
    """Whether nothing but the model says what a node gives."""
    return facts.of_node(node) is None and facts.function_of(node) is None


def _without_claims(type: Type | None) -> Type | None:
    """What a model declares of an unknown operator's output, without symbols: they may stem from an inference that no longer holds."""
    return None if isinstance(type, TensorType) and type.dtype is DType.undefined else without_symbols(type)


def named(type: TensorType, name: str) -> TensorType:
    """The type with a symbol for each unknown size: `?name.axis` is that size of the one value of this name, whatever it comes out as.

    Sound in the main graph alone: its values are made once in a run, and their names differ.
    """
    if type.shape is None or not name or None not in type.shape:
        return type
    return TensorType(type.dtype, tuple(Dim.symbol(f"?{name}.{axis}") if size is None else size for axis, size in enumerate(type.shape)))


def _kind_of(type: Type | None) -> Type | None:
    """The element type alone."""
    if isinstance(type, TensorType):
        return TensorType(type.dtype) if type.dtype else None
    return SequenceType(_kind_of(type.element)) if isinstance(type, SequenceType) else type
