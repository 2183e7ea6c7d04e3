"""Types of all values of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from graphopt.infer import control
from graphopt.infer.call import InferenceRule, Types
from graphopt.infer.complaints import complaints
from graphopt.infer.contents import contents_by, contents_rule
from graphopt.infer.contents_arithmetic import ContentsRule
from graphopt.infer.elements import Elements, agreed, elements, refined_elements
from graphopt.infer.node import fitting, inference_of
from graphopt.infer.positive import CAN_FAIL, asking, needed, note_copies, positive_symbols
from graphopt.infer.refine import refined
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


def infer_model(model: Model, observer: Listener | None = None, *, again: bool = False) -> None:
    """Fill in the type, and the contents, of every value of the main graph, its subgraphs and called functions, where they can be proved.

    The types that the model declares for its inputs are taken as true. What it declares of other values is taken only where an unknown
    operator makes them; where it contradicts what follows from the inputs, the observer is warned, and of nodes that cannot be right. A
    size of the main graph that is not known gets a symbol of its own, so that what is computed from it is provably as long. Inside a
    function a value has the type, and holds the elements, that it has for all callers. Never raises; cost is linear in the nodes, times the
    depth to which loops are nested.

    `again`: this model's types were inferred before, and edits have made more of them known. They are no claims but true, so nothing
    is said of them, and nothing that they tell is lost.
    """
    walk = _Walk(None if again else observer, again=again)
    with collector_resting():
        _infer(model, walk)


def _infer(model: Model, walk: _Walk) -> None:
    for value in model.graph.inputs:
        if isinstance(value.type, TensorType):
            value.type = named(value.type, value.name) if value.type.dtype else None
    model.doubted.clear()
    asked: set[Node] | None = None
    while asked is None or asked:
        known = set(model.positive)
        walk.graph(model.graph)
        walk.finish()
        asked = asking(model, model.positive - known)  # what was learned only after it was asked for
        walk = _Walk(None, again=True, only=asked)


@contextmanager
def as_called(node: Node, function: Function) -> Iterator[None]:
    """Let the values inside a local function be what they are for one call of it; afterwards they are again what they are for all callers.

    Types must have been inferred.
    """
    values = [value for each in _reached(function) for graph in each.graph.walk() for value in _values(graph)]
    before = [(value.type, value.contents) for value in values]
    walk = _Walk(None, again=True)
    try:
        walk.enter(node, function)
        walk.graph(function.graph)
        yield
    finally:
        for value, (type, held) in zip(values, before, strict=True):
            value.type, value.contents = type, held


def _reached(function: Function) -> list[Function]:
    """A function and those that it calls, directly or not."""
    found, left = {function: None}, [function]
    while left:
        for graph in left.pop().graph.walk():
            for node in graph:
                called = facts.function_of(node)
                if called is not None and called not in found:
                    found[called] = None
                    left.append(called)
    return list(found)


Contents: TypeAlias = "tuple[Elements | None, ...]"

_MOST_ROUNDS = 4  # a size that differs from one round of a loop to the next is unknown in the one after; so little more is needed
_MOST_WARNINGS = 8


class _Walk:
    """One run over a model. `calls` keeps what each kind of call of a function gave, `inside` what all calls agree on.

    `declared` holds what the model said of the values of bodies that are looked at more than once, `held` what these were known to hold;
    `again`, what was inferred before. With `only`, the nodes of the main graph that are looked at are these, those that hold graphs, and
    those that read what has `changed` by it.
    """

    def __init__(self, observer: Listener | None, *, again: bool = False, only: set[Node] | None = None) -> None:
        self.observer = observer
        self.again = again
        self.only = only
        self.changed: set[Value | None] = set()
        self.calls: dict[tuple[object, ...], tuple[Types, Contents]] = {}
        self.inside: dict[Function, dict[Value, tuple[Type | None, Elements | None]]] = {}
        self.active: list[Function] = []
        self.declared: dict[Value, Type | None] = {}
        self.held: dict[Value, Elements | None] = {}
        self.warnings: dict[Value, str] = {}
        self.needed: set[Node] | None = None  # the nodes of the main graph on which its outputs depend, once somebody asks
        self.unknown: dict[Node, None] = {}  # nodes of whose first output nothing is known

    def graph(self, graph: Graph) -> None:
        """Every node of a graph, whose inputs have their types."""
        for value in graph.initializers.values():
            if value.tensor is not None and not value.overridable:
                value.type = TensorType(value.tensor.dtype, value.tensor.shape)
        functions, is_main = graph.model.functions, graph is graph.model.graph
        only = self.only if is_main and not functions else None
        rules: dict[str, tuple[InferenceRule, ContentsRule | None]] = {}
        for node in graph:
            if only is None:
                self._node(node, graph, rules, is_main=is_main)
            elif node in only or node.subgraphs or not self.changed.isdisjoint(node.inputs):
                before = [(value.type, value.contents) for value in node.outputs]
                self._node(node, graph, rules, is_main=is_main)
                after = zip(node.outputs, before, strict=True)
                self.changed.update(value for value, known in after if known != (value.type, value.contents))

    def _node(self, node: Node, graph: Graph, rules: dict[str, tuple[InferenceRule, ContentsRule | None]], *, is_main: bool) -> None:
        """One node, whose inputs have their types; `rules` are those of the operators that stood in the graph before."""
        if node.attributes and node.subgraphs:
            self._bodies(node)
        contents: Contents | None = None
        if graph.model.functions and (function := facts.function_of(node)) is not None:
            types, contents = self._call(node, function)
            rule = None
        else:
            known = rules.get(node.op)
            if known is None:
                opset = graph.opsets.get(node.domain)
                known = rules[node.op] = inference_of(node, opset), contents_rule(node, opset)
            infer, rule = known
            types = infer(node)
        if types and types[0] is None:
            self.unknown[node] = None
        for value, type in zip(node.outputs, types, strict=True):
            if self.again:
                type = refined(self.declared.get(value, value.type), type)
            if is_main and isinstance(type, TensorType) and type.shape is not None and None in type.shape:
                type = named(type, value.name)
            if value.type is None and type is not None:
                value.type = type
            elif value.type is not type:
                self._settle(value, type)
        if rule is not None:
            contents = contents_by(rule, node)  # which asks for the types of the outputs
        if contents is not None:
            self._hold(node, contents)
        if is_main and node.op in CAN_FAIL:
            self._succeed(node)

    def _succeed(self, node: Node) -> None:
        """Learn what must be so for a node of the main graph to come to a result, as it does if the outputs depend on it."""
        if node.op == "Reshape":
            note_copies(node)
        positive = node.graph.model.positive if node.graph is not None else set()
        found = positive_symbols(node) - positive
        if found and node.graph is not None:
            if self.needed is None:
                self.needed = needed(node.graph)
            if node in self.needed:
                positive |= found

    def finish(self) -> None:
        """Give the values inside functions what all callers agree on, and say what was contradicted."""
        for types in self.inside.values():
            for value, (type, held) in types.items():
                value.type = refined(self.declared.get(value), type) if self.again else type
                value.contents = refined_elements(self.held.get(value), held) if self.again else held
        if self.observer is not None:
            for value, message in list(self.warnings.items())[:_MOST_WARNINGS]:
                self.observer.warned("infer", f"{value!r}: {message}")
            if len(self.warnings) > _MOST_WARNINGS:
                more = len(self.warnings) - _MOST_WARNINGS
                self.observer.warned("infer", f"{more} more values are declared otherwise than they come out")
            for source, message in complaints(self.unknown):
                self.observer.warned(source, message)

    def _hold(self, node: Node, contents: Contents) -> None:
        for value, found in zip(node.outputs, contents, strict=True):
            value.contents = refined_elements(self.held.get(value, value.contents), found) if self.again else found

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
                self.held.setdefault(value, value.contents)

    def _bodies(self, node: Node) -> None:
        for graph in node.subgraphs:
            if node.op != "If":
                self._remember(graph)
            given = control.body_types(node, graph)
            if self.again and node.op == "Loop":  # of these two the first run knows which rank the model declares
                given = (*(self.declared.get(value, value.type) for value in graph.inputs[:2]), *given[2:])
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
            if self.again:
                for value in graph.inputs:
                    value.type = refined(self.declared.get(value, value.type), value.type)

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

    def _call(self, node: Node, function: Function) -> tuple[Types, Contents]:
        nothing = (None,) * len(node.outputs)
        if function in self.active:
            return nothing, nothing  # onnx forbids recursion
        given = tuple(None if value is None else (value.type, elements(value)) for value in node.inputs)
        key = (function, given)
        if key not in self.calls:
            self.active.append(function)
            self.enter(node, function)
            self.graph(function.graph)
            outputs = function.graph.outputs
            self.calls[key] = tuple(value.type for value in outputs), tuple(map(elements, outputs))
            self._agree(function)
            self.active.pop()
        types, contents = self.calls[key]
        return fitting(types, len(nothing)), (*contents[: len(nothing)], *nothing[len(contents) :])

    def enter(self, node: Node, function: Function) -> None:
        """Give the inputs of a function what a caller passes."""
        self._remember(function.graph)
        for index, value in enumerate(function.graph.inputs):
            given = node.input(index)
            value.type, value.contents = (None, None) if given is None else (given.type, elements(given))

    def _agree(self, function: Function) -> None:
        """Join what the values inside are and hold for this caller with what they did for the others."""
        known = self.inside.setdefault(function, {})
        for graph in function.graph.walk():
            for value in _values(graph):
                type, held = value.type, value.contents
                if value in known:
                    type, held = join(known[value][0], type), agreed(known[value][1], held)
                known[value] = type, held


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
