"""What a foreign library made of a model, as far as names tell: which nodes vanished, which came, and which stand for which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, final

from graphopt.ir.attribute import Opaque
from graphopt.ir.graph import Graph, Node, Value
from graphopt.ir.model import Model
from graphopt.ir.tensor import Tensor
from graphopt.observe.trace import label

Key: TypeAlias = tuple[object, ...]
_LARGEST = 64  # nodes that hang together; of more only those that make a value of the same name stand for each other


@final
@dataclass(slots=True)
class Replaced:
    """What differs between a model and what was made of it. `vanished` and `came` hold nodes that were changed in both."""

    vanished: list[Node]
    came: list[Node]
    other: bool  # something else differs: inputs, outputs, stored tensors, what is known of a value

    def __bool__(self) -> bool:
        return bool(self.vanished or self.came or self.other)

    @classmethod
    def of(cls, before: Model, after: Model) -> Replaced:
        """Compare two models by the names of their values. Nodes that are the same in both hand on what they stand for."""
        old, new = _keyed(before), _keyed(after)
        vanished = [node for key, node in old.items() if key not in new or _said(node) != _said(new[key])]
        came = [node for key, node in new.items() if key not in old or _said(node) != _said(old[key])]
        changed = set(came)
        for key, node in new.items():
            if node not in changed:
                node.replaces, node.rule = old[key].replaces, old[key].rule
        other = _ports(before) != _ports(after) or any(
            value.type is None and now.type is not None
            for key, node in new.items()
            if node not in changed
            for value, now in zip(old[key].outputs, node.outputs, strict=False)
        )
        made = cls(vanished, came, other)
        made._attribute()
        return made

    def _attribute(self) -> None:
        """Let each node that came say what it stands for: the vanished nodes that it hangs together with through values of one name."""
        groups = _Groups()
        for node in (*self.vanished, *self.came):
            for value in node.outputs:
                if value.name:
                    groups.join(node, value.name)
        made = {value.name for node in (*self.vanished, *self.came) for value in node.outputs}
        for node in (*self.vanished, *self.came):
            for read in node.inputs:
                if read is not None and read.name in made:
                    groups.join(node, read.name)
        gone: dict[object, list[Node]] = {}
        makers: dict[str, Node] = {}
        for node in self.vanished:
            gone.setdefault(groups.of(node), []).append(node)
            makers.update((value.name, node) for value in node.outputs)
        names = {group: _names(nodes) for group, nodes in gone.items() if len(nodes) <= _LARGEST}
        for node in self.came:
            group = groups.of(node)
            if group in gone:
                same = dict.fromkeys(makers[value.name] for value in node.outputs if value.name in makers)
                node.replaces = names[group] if group in names else _names(list(same))


def _names(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in nodes for name in (node.replaces or (label(node),))))


class _Groups:
    """Nodes and names of values that hang together (union-find, with path halving)."""

    def __init__(self) -> None:
        self._parents: dict[object, object] = {}

    def of(self, item: object) -> object:
        parents = self._parents
        while (parent := parents.setdefault(item, item)) is not item:
            parents[item] = item = parents[parent]
        return item

    def join(self, one: object, other: object) -> None:
        self._parents[self.of(one)] = self.of(other)


def _keyed(model: Model) -> dict[Key, Node]:
    """Each node by what it is in both models: the graph in which it lies, its operator, and the names of what it makes.

    A graph is the body of a function, or lies in an attribute of such a node. Nodes that make nothing with a name, or what another made
    before them, are told apart by their place.
    """
    found: dict[Key, Node] = {}
    inside: dict[Graph, Key] = {}
    for graph in model.graphs():  # a graph before those inside it
        where = inside.pop(graph, graph.function.key if graph.function is not None else ())
        for place, node in enumerate(graph):
            names = tuple(value.name for value in node.outputs)
            key: Key = (where, node.op, names if any(names) else place)
            if key in found:
                key = (*key, place)
            found[key] = node
            for name, held in node.attributes.items():
                inside.update((inner, (*key, name, index)) for index, inner in enumerate(held.graphs()))
    return found


def _said(node: Node) -> Key:
    """All that is said of a node, so that two are equal when nothing differs."""
    inside = node.graph is not None and node.graph.owner is not None
    inputs = tuple((value.name, _stored(value) if inside else None) if value is not None else None for value in node.inputs)
    attributes = {name: (held.kind, held.reference, _content(held.value)) for name, held in node.attributes.items()}
    return node.name, node.doc, node.overload, node.metadata, inputs, attributes


def _content(value: object) -> object:
    """What an attribute holds, in a form that can be compared."""
    if isinstance(value, tuple):
        return tuple(map(_content, value))
    if isinstance(value, Tensor):
        return _Bytes(value)
    if isinstance(value, Graph):  # its nodes are compared by themselves
        return value.name, _names_of(value.inputs), _names_of(value.outputs), tuple(map(_stored, value.outputs))
    return repr(value.origin if isinstance(value, Opaque) else value)  # a NaN is itself; what nobody looks into has its message


def _ports(model: Model) -> Key:
    """What a model takes, gives and stores; where a tensor is stored that only subgraphs read is no difference."""
    graph = model.graph
    inputs = [(value.name, str(value.type), value.overridable) for value in graph.inputs]
    stored: dict[str, list[_Bytes | None]] = {}
    for each in model.graphs():
        for name, value in each.initializers.items():
            if value.users or value.overridable:
                content = _Bytes(value.tensor) if value.tensor is not None else None
                if content not in stored.setdefault(name, []):
                    stored[name].append(content)
    bodies = {key: (_names_of(each.graph.inputs), each.graph.output_names) for key, each in model.functions.items()}
    return inputs, graph.output_names, stored, model.opsets, model.ir_version, bodies


def _stored(value: Value) -> _Bytes | None:
    """The constant that a node inside a graph reads: graphs side by side may store different ones under one name."""
    return _Bytes(value.tensor) if value.producer is None and value.tensor is not None else None


def _names_of(values: Iterable[Value]) -> tuple[str, ...]:
    return tuple(value.name for value in values)


class _Bytes:
    """A constant, equal to another that holds the same bytes; those that lie in one place are not read."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Bytes):
            return False
        one, two = self.tensor, other.tensor
        return (one.storage == two.storage and one.dtype == two.dtype and one.shape == two.shape) or one.same(two)

    def __hash__(self) -> int:
        return hash((self.tensor.dtype, self.tensor.shape))
