"""A model as plain data to draw: nodes, edges and what is said of them, in columns. No weight is read but a number or two."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, final

from graphopt.errors import ModelError
from graphopt.ir.attribute import Attribute
from graphopt.ir.dim import Size
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model
from graphopt.ir.tensor import Tensor
from graphopt.ir.types import TensorType, Type
from graphopt.observe.difference import SHOWN, shown
from graphopt.observe.trace import label

LONGEST: Final = 240  # characters of an attribute that the page shows
MADE, INPUT, INITIALIZER, OVERRIDABLE = range(4)  # where a value comes from, as the page knows it
Columns: TypeAlias = "tuple[int, int, list[int], list[int], list[int], list[int]]"
Json: TypeAlias = "dict[str, Any]"  # Any: JSON


@final
class Texts:
    """Every text once; the page says its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        """The texts in the order of their numbers."""
        return list(self._numbers)


@final
class Drawing:
    """One model as it was when this was made; `as_json` is the data.

    `places` says which number a node has, `labels` what each is called, `described` what each is, but for which values it reads: two alike
    in it do the same.
    """

    def __init__(self, model: Model, texts: Texts) -> None:
        self._texts = texts
        self._types: dict[Type | None, int] = {}
        self.graphs = {graph: number for number, graph in enumerate(model.graphs())}
        self.nodes = [node for graph in self.graphs for node in graph]
        self.labels = [label(node) for node in self.nodes]
        self.places = {node: place for place, node in enumerate(self.nodes)}
        self._functions = {key: self.graphs[function.graph] for key, function in model.functions.items()}
        self._values: dict[Value, int] = {}
        self._columns: dict[str, list[int]] = {"name": [], "type": [], "kind": [], "note": []}
        self._nodes = [self._node(node) for node in self.nodes]
        self.described = [_described(node, columns) for node, columns in zip(self.nodes, self._nodes, strict=True)]
        self._graphs = [self._graph(graph) for graph in self.graphs]
        self.opsets = dict(model.opsets)

    def as_json(self) -> Json:
        """As plain data: texts by their number, values and nodes by their place."""
        names = ("op", "name", "inputs", "outputs", "attributes", "graphs")
        columns = zip(*self._nodes, strict=True) if self._nodes else ((),) * len(names)
        return {
            "graphs": self._graphs,
            "values": self._columns,
            "nodes": dict(zip(names, map(list, columns), strict=True)),
            "opsets": self.opsets,
        }

    def _node(self, node: Node) -> Columns:
        said = [(name, held) for name, held in node.attributes.items() if not held.graphs()]
        opened = [(name, self.graphs[inner]) for name, held in node.attributes.items() for inner in held.graphs()]
        called = self._functions.get((node.domain, node.op_type, node.overload))
        opened += [("body", called)] if called is not None else []
        return (
            self._texts(node.op),
            self._texts(node.name),
            [-1 if value is None else self._value(value) for value in node.inputs],
            [self._value(value) for value in node.outputs],
            [number for name, held in said for number in (self._texts(name), self._texts(short(held)))],
            [number for name, place in opened for number in (self._texts(name), place)],
        )

    def _graph(self, graph: Graph) -> Json:
        first = next(iter(graph), None)
        holding = () if graph.owner is None else graph.owner.attributes.items()
        function = graph.function
        return {
            "name": self._texts(graph.name if function is None else ".".join(filter(None, function.key))),
            "kind": "function" if function is not None else "main" if graph.owner is None else "subgraph",
            "owner": -1 if graph.owner is None else self.places[graph.owner],
            "held": self._texts(next((name for name, held in holding if graph in held.graphs()), "")),
            "first": 0 if first is None else self.places[first],
            "count": len(graph),
            "inputs": [self._value(value) for value in graph.inputs],
            "outputs": [[self._texts(name), self._value(value)] for name, value in zip(graph.output_names, graph.outputs, strict=True)],
        }

    def _value(self, value: Value) -> int:
        place = self._values.get(value)
        if place is None:
            place = self._values[value] = len(self._values)
            self._columns["name"].append(self._texts(value.name))
            self._columns["type"].append(self._type(value.type))
            self._columns["kind"].append(_kind(value))
            self._columns["note"].append(self._texts(content(value.tensor)))
        return place

    def _type(self, type: Type | None) -> int:
        number = self._types.get(type)
        if number is None:
            number = self._types[type] = self._texts(type_text(type))
        return number


def _described(node: Node, columns: Columns) -> tuple[object, ...]:
    op, _, _, outputs, attributes, _ = columns
    return op, attributes, len(outputs), [value is None or value.const is not None for value in node.inputs]


def _kind(value: Value) -> int:
    if value.producer is not None:
        return MADE
    if value.overridable:
        return OVERRIDABLE
    return INITIALIZER if value.is_initializer else INPUT


def type_text(type: Type | None) -> str:
    """A type for people: what inference calls an unknown size is just unknown."""
    if not isinstance(type, TensorType) or type.shape is None:
        return "" if type is None else str(type)
    return f"{type.dtype.name}[{', '.join(map(_size, type.shape))}]"


def _size(size: Size | None) -> str:
    text = "?" if size is None else str(size)
    return "?" if "?" in text else text


def content(tensor: Tensor | None) -> str:
    """The content of a constant that is a parameter and no weight: one number, or a few integers; otherwise nothing."""
    if tensor is None or not (tensor.size == 1 or (tensor.size <= SHOWN and tensor.dtype.is_integer)):
        return ""
    try:
        return _cut(str(tensor.numpy().tolist()))
    except ModelError:  # what it holds is not what it declares: the run says so, not the drawing
        return ""


def short(attribute: Attribute) -> str:
    """What an attribute holds, in a line."""
    value = attribute.value
    if isinstance(value, Tensor):
        return " ".join(filter(None, (f"{value.dtype.name}{list(value.shape)}", content(value))))
    if isinstance(value, tuple) and any(isinstance(element, Tensor) for element in value):
        return f"{len(value)} tensors"
    return _cut(shown(attribute))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"

